"""The errors whose text is all that the user needs to see."""


class UserError(Exception):
  """A mistake that the user can mend; its text is the whole message.

  Launchers print it as one line and exit with code 2. The text names the file,
  row or flag at fault and what would be right.
  """


class TransientError(Exception):
  """A failure of what is around the program; it may pass when run again.

  Launchers print its text as one line and exit with code 1, upon which
  launch/pod.sh starts again.
  """


class DivergedError(UserError):
  """Training met a number that is not finite."""
