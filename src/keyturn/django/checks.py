"""x"""


def register_all(): ...
