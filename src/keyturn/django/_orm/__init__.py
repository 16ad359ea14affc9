"""The parts of the store on Django's ORM: transactions, errors, rows, operations. They know no token."""
