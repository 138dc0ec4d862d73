"""The error that a mistake of the user ends in."""


class UserError(Exception):
  """A mistake that the user can mend; its text is the whole message.

  Launchers print it as one line and exit with code 2. The text names the file,
  row or flag at fault and what would be right.
  """
