"""x"""


class EndSessions:
    def validate(self, password, user=None): ...
    def password_changed(self, password, user=None): ...
    def get_help_text(self):
        return ""
