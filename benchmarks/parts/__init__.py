"""The parts of the suite: each module's `measure` gives findings as they come. They know no other part."""
