"""Words that say nothing about what an account is about.

English has a list of its own: the usual ones hold `face`, `home`, `room` and
`work`, which are topics. Other languages have stopwordsiso's.
"""

from __future__ import annotations

import functools

from morning_jax.core import errors

# Function words, which a tagger may take for nouns, and nouns without content.
_ENGLISH = """
a about above across after again against all almost alone along already also
although always am among an and another any anybody anyone anything anyway are
aren't around as at away be became because been before behind being below
between both but by can can't cannot could couldn't did didn't do does doesn't
doing don't done down during each either else enough etc even ever every
everybody everyone everything few first for from further get gets getting give
go goes going gone gonna gotta got had has hasn't have haven't having he her
here hers herself him himself his how however i if in instead into is isn't it
its itself just keep kind last least less let lets like likes lot lots made
make makes many may maybe me might mine more most much must my myself need
neither never next no nobody none nor not nothing now of off often oh ok okay
on once one ones only onto or other others otherwise our ours ourselves out
over own perhaps please put quite rather really said same say see seem self
several shall she should shouldn't since so some somebody someone something
sometimes somewhere soon sort still stuff such take than thank thanks that
that's the their theirs them themselves then there these they thing things this
those though three through thru thus till to today together tomorrow too toward
towards tonight two under until up upon us use used using various very via
wanna want was wasn't way ways we well were weren't what whatever when whenever
where wherever whether which while who whoever whole whom whose why will with
within without won't would wouldn't yeah yes yesterday yet you your yours
yourself yourselves
"""


@functools.cache
def of_language(code: str) -> frozenset[str]:
  """Returns the stop words of a language, lower case; none where unknown.

  Args:
    code: ISO 639-1.

  Raises:
    UserError: stopwordsiso is not installed.
  """
  if code == 'en':
    return frozenset(_ENGLISH.split())
  try:
    import stopwordsiso
  except ImportError:
    raise errors.UserError(
      "stop words need stopwordsiso: pip install 'morning_jax[prepare]'"
    ) from None
  return frozenset(w.lower() for w in stopwordsiso.stopwords(code))
