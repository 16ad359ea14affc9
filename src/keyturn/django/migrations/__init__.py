"""The migrations of the tables. They know no operation."""
