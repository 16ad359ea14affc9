"""The rules of the HTTP suite, one module per subject. They know no framework."""
