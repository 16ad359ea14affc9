"""What an access token says of its user, beside who it is."""


def load_claims(user):
    return {"roles": ["admin" if user.is_staff else "member"]}
