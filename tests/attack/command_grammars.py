"""Command lines with good and bad values, of every launcher."""

from typing import NamedTuple


class Value(NamedTuple):
  """A value of a flag.

  Attributes:
    text: the value; `{x}` is a path of the world below.
    bad: whether a line with it must end with code 2.
  """

  text: str
  bad: bool = False


def good(*texts: str) -> list[Value]:
  return [Value(t) for t in texts]


def bad(*texts: str) -> list[Value]:
  return [Value(t, bad=True) for t in texts]


_NO_TEXT = bad('', '{here}/\udcff')
_NO_NUMBER = bad(
  '', 'x', '1.5', '-1', '1e3', '²', str(2**63), '9' * 5000, '0x', '--', 'nan'
)
_NO_FOLDER = [
  *_NO_TEXT,
  *bad('nowhere', '{file}', '{loop}', '{dangling}', '/dev/null', 'n' * 300),
  *bad('n/' * 3000, '{fifo}', '\x1b[31mred', 'a\nb', '" ; $(x)'),
]
_NO_OUTPUT = [
  *_NO_TEXT,
  *bad('{here}', '{fifo}', '/dev/full', 'nowhere/x', '{file}/x', 'n' * 256),
  *bad('/proc/x.json', 'n/' * 3000, '{here}/' + '\N{SNOWMAN}' * 90),
]
_NO_NAME = bad('', 'nobody', '\udcff', 'a\nb', '\x1b[31m', 'n' * 3000)
_NO_NEW_FOLDER = [
  *_NO_TEXT,
  *bad('{bundle}', '{file}', '{file}/x', '{loop}', '/proc/x', 'n' * 300),
]
_OUTPUTS = good('x', '{here}/x', 'n' * 250, '\N{SNOWMAN}' * 80, '-', ' ')
_BUNDLE = [*good('{bundle}'), *_NO_FOLDER, *bad('{trained}', '{here}')]
_TRAINED = [*good('{trained}'), *_NO_FOLDER, *bad('{bundle}', '{here}')]
_CONFIG = bad(
  '',
  'nowhere.py',
  '{here}',
  '{fifo}',
  '{file}',
  'configs/morning.py:smok',
  '{lacking}',
  '{surplus}',
  '{untyped}',
  '{raising}',
  '{other}',
  '{exiting}',
  '{empty}',
  '{file}:\udcff',
  'n' * 300,
)
_FIELDS = {
  'seed': [*good('1'), *_NO_NUMBER],
  'data.bundle': _NO_FOLDER,
  'data.folds': bad('-1', '1000', 'x', ''),
  'data.valid_share': bad('nan', 'x', ''),
  'data.placement': bad('', 'disk', '0'),
  'data.stream_mib': bad('0', '-1', 'x'),
  'mesh.data': bad('3', '0', 'x', ''),
  'model.encoder': bad('', 'resdual', '1'),
  'model.perspectives': bad('', 'content,none', '()', '((((', '"'),
  'model.image_widths': bad('a', '', '1.5', '(1', '[' * 200),
  'model.init_scale': bad('inf', '-1', 'x'),
  'loss.kind': bad('', 'pairs'),
  'optimizer.learning_rate': bad('nan', '-1', 'x', ''),
  'train.batch_size': [*good('32'), *_NO_NUMBER, *bad('0')],
  'train.epochs': [*_NO_NUMBER, *bad('0')],
  'train.shuffle': bad('maybe', '2', ''),
  'evaluation.every_epochs': bad('0', 'nan', 'inf', 'x'),
  'evaluation.batch_size': bad('0', '-5'),
  'train.epoch': bad('1', ''),
  'trian': bad('1', ''),
}
_DISTRIBUTED = {
  'distributed': [*good('off', 'auto'), *bad('', 'maybe')],
  'coordinator_address': bad('', 'x', 'x:', ':1', 'x:99999', 'x:²', 'x:-1'),
  'num_processes': bad('', 'x', '0', '2', '-1', '9' * 30),
  'process_id': bad('', 'x', '-1', '0', '5'),
}
_EVERYWHERE = {
  'compilation_cache': [
    *_NO_TEXT,
    *bad('{file}', '{file}/x', '/proc/x', 'n' * 256),
  ],
  'wrkdir': bad('x', ''),
  'verbosity': bad('x', ''),
  'flagfile': bad('nowhere', '{here}'),
}


class Grammar(NamedTuple):
  """The command lines of a launcher.

  Attributes:
    always: what every line begins with; later flags win.
    flags: flag -> values to draw from.
    codes: exit codes of lines without a bad value.
    words: words without `--`, of which some lines have one.
  """

  always: list[str]
  flags: dict[str, list[Value]]
  codes: tuple[int, ...] = (0,)
  words: list[Value] = bad('smoke', '', '-', '\udcff', '²')


GRAMMARS: dict[str, Grammar] = {
  'train': Grammar(
    [
      '--config={here}/configs/morning.py:smoke',
      '--config.train.epochs=1',
      '--config.data.bundle={bundle}',
    ],
    {
      'config': _CONFIG,
      **{f'config.{k}': v for k, v in _FIELDS.items()},
      'workdir': [
        *good('x', ' ', '\N{SNOWMAN}', '-', 'a\nb'),
        *_NO_TEXT,
        *bad(
          '{trained}',
          '{file}',
          '{fifo}',
          '/dev/null',
          '{loop}',
          'n' * 300,
          '/proc/x',
        ),
      ],
      **_DISTRIBUTED,
      **_EVERYWHERE,
    },
  ),
  'evaluate': Grammar(
    ['--workdir={trained}'],
    {
      'workdir': _TRAINED,
      'bundle': _BUNDLE,
      'split': [
        *good('test', 'train', 'valid,test', 'test,test'),
        *bad('', 'tset', ',', 'test,', 'Test', '²'),
      ],
      'json': [*_OUTPUTS, *_NO_OUTPUT],
      'scores': [*good('s.npz'), *_NO_OUTPUT],
      'faithfulness': [*good('true', 'false'), *bad('', 'maybe')],
      **_DISTRIBUTED,
      **_EVERYWHERE,
    },
    # Scores of two splits do not fit into one file.
    codes=(0, 2),
  ),
  'graph': Grammar(
    ['--bundle={graph}'],
    {
      'bundle': [*good('{graph}'), *_NO_FOLDER, *bad('{trained}')],
      'edges': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}', '{loop}')],
      'neighbours': [*good('wine'), *bad('', 'wines', '\udcff', 'a\nb')],
      'count': [*good('1', '3', str(2**40)), *_NO_NUMBER, *bad('0')],
      'plot': [*good('x.png', 'x.svg', 'x'), *_NO_OUTPUT, *bad('x.nonsense')],
      'save_vectors': _NO_OUTPUT,
      'vectors': bad('', 'nowhere', '{here}', '{fifo}', '{file}', '{loop}'),
      'workdir': bad('', '/proc/x', 'nowhere', '{file}', '{loop}', '{trained}'),
      'p': bad('', '0', '-1', 'nan', 'inf', 'x', '1e-300'),
      'q': bad('', '0', 'nan', '-inf', '1e300'),
      'seed': [*good('0', str(2**32 - 1)), *_NO_NUMBER, *bad(str(2**32))],
      **_EVERYWHERE,
    },
  ),
  'compare': Grammar(
    [
      '--bundle={bundle}',
      '--methods=similarity',
      '--seeds=1',
      '--folds=2',
      '--jobs=0',
    ],
    {
      'bundle': _BUNDLE,
      'methods': bad('', 'morning-papers', 'similarity,', ',', '²'),
      'split': [*good('train', 'test'), *bad('', 'valid', '²')],
      'folds': [*_NO_NUMBER, *bad('0', '1', '1000')],
      'seeds': [*_NO_NUMBER, *bad('0', '99999999999')],
      'costly_seeds': [*_NO_NUMBER, *bad('0')],
      'curves': bad('', 'epoch', ',', '²'),
      'jobs': [*_NO_NUMBER, *bad('99999999')],
      'workdir': [
        *good('x', '\N{SNOWMAN}'),
        *_NO_TEXT,
        *bad('{file}', '{fifo}', '/dev/null', '{loop}', 'n' * 300, '/proc/x'),
      ],
      **_EVERYWHERE,
    },
  ),
  'compile': Grammar(
    [
      '--topology=v5e:2x2',
      '--config={here}/configs/morning.py:smoke',
      '--features=content_text:8',
    ],
    {
      'config': _CONFIG,
      'job': [*good('train'), *bad('', 'trains', '²')],
      'json': _NO_OUTPUT,
      'topology': bad('', 'v5e', 'v5e:', 'v9:2x2', 'v5e:0x2', 'v5e:²x2', ':'),
      'brands': [*_NO_NUMBER, *bad('0', str(2**31))],
      'influencers': [*_NO_NUMBER, *bad('0')],
      'features': bad('', 'content_text', 'x:1', 'content_text:²', ':', ','),
      'sweep': bad('', 'brands', 'brands:', 'x:1', 'brands:0', 'brands:²'),
      'config.train.batch_size': [*_NO_NUMBER, *bad('0')],
      **_EVERYWHERE,
    },
    codes=(0, 1),
  ),
  'import_release': Grammar(
    ['--features={here}', '--bundle=new'],
    {
      'features': _NO_FOLDER,
      'bundle': [*_NO_TEXT, *bad('{bundle}', '{file}', '{file}/x')],
      'test_pairs': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}')],
      **_EVERYWHERE,
    },
    codes=(2,),
  ),
  'convert_weights': Grammar(
    ['--weights={file}', '--output=w.safetensors'],
    {
      'weights': [*_NO_TEXT, *bad('nowhere', '{here}', '{file}', '{fifo}')],
      'output': [*_NO_OUTPUT, *bad('w.pth', 'w')],
      **_EVERYWHERE,
    },
    codes=(2,),
  ),
  'benchmark': Grammar(
    ['--quick', '--peers=none'],
    {
      'quick': [*good('true', 'false'), *bad('', 'maybe')],
      'json': _NO_OUTPUT,
      'peers': bad('', 'all'),
      'bundle': [*_NO_FOLDER, *bad('{trained}')],
      'folder': _NO_FOLDER,
      **{
        k: [*_NO_NUMBER, *bad('0')]
        for k in ('repeats', 'epochs', 'influencers', 'width', 'brands', 'k')
      },
      'batch_sizes': bad('', '0', 'x', '1,', '²', '9' * 5000, '1,-1'),
      'devices': bad('', '0', '1000000', 'x'),
      'accounts': bad('', '1', '99', 'x'),
      **_EVERYWHERE,
    },
    codes=(2,),  # without a benchmark's name
    words=bad('', 'trainings', '²', '-'),
  ),
  'recommend': Grammar(
    ['--workdir={trained}', '--brand=clothing_01'],
    {
      'workdir': _TRAINED,
      'bundle': _BUNDLE,
      'brand': [*good('clothing_02', 'drink_01'), *_NO_NAME],
      # Beside --brand, each of them asks a second question.
      'brand_file': bad('', 'nowhere', '{here}', '{fifo}', '{file}'),
      'influencer': _NO_NAME,
      'similar_to': _NO_NAME,
      'all_brands': bad('true', '2', ''),
      'perspective': [*_NO_NAME, *bad('content', 'contents')],
      'top_k': [*good('1', '1000', str(2**40)), *_NO_NUMBER, *bad('0')],
      'reasons': [*good('0', '1', '10'), *_NO_NUMBER],
      'shortlist': [*good('1', '4'), *_NO_NUMBER, *bad('0')],
      'budget': bad('', 'x', '-1', 'nan', 'inf', '0'),
      'costs': bad('', 'nowhere', '{here}', '{fifo}', '{file}', '{loop}'),
      'diversity': bad('', 'x', '-1', '1.1', 'nan', 'inf'),
      'reach': bad('', 'x', '-1', 'nan', 'inf'),
      'followers_from': _NO_NUMBER,
      'followers_to': _NO_NUMBER,
      'category': bad('', 'clothings', ',', 'drink,', '\udcff', 'a\nb'),
      'attribute': bad('', 'wines', ',', '\udcff', 'a\nb'),
      'found_under': bad('', 'clothings', ',', '\udcff'),
      'needs': [*good('content'), *bad('', 'contents', ',', '²')],
      'include_cooperating': [*good('true', 'false'), *bad('', 'maybe')],
      'candidates': bad('', 'nowhere', '{here}', '{fifo}', '{loop}'),
      'exclude': bad('', 'nowhere', '{here}', '{fifo}', '{loop}'),
      'format': [
        *good('table', 'json', 'csv', 'xlsx'),
        *bad('', 'pdf', 'CSV ', '²'),
      ],
      'output': [*_OUTPUTS, *_NO_OUTPUT],
      **_DISTRIBUTED,
      **_EVERYWHERE,
    },
    # A spreadsheet needs a file.
    codes=(0, 2),
  ),
  'export': Grammar(
    ['--workdir={trained}', '--output=new'],
    {
      'workdir': _TRAINED,
      'output': [*good('x', '\N{SNOWMAN}'), *_NO_NEW_FOLDER],
      **_EVERYWHERE,
    },
  ),
  'report': Grammar(
    ['--workdir={trained}', '--output=new', '--cases=1'],
    {
      'workdir': _TRAINED,
      'bundle': _BUNDLE,
      'output': [*good('x', '\N{SNOWMAN}'), *_NO_NEW_FOLDER],
      'brands': [*good('clothing_01'), *_NO_NAME, *bad('clothing_01,nobody')],
      'cases': [*good('0', '2', str(2**40)), *_NO_NUMBER],
      'comparison': bad('', 'nowhere', '{here}', '{file}', '{trained}'),
      'exclude': bad('', 'nowhere', '{here}', '{fifo}', '{loop}'),
      'license': [*good('mit'), *bad('', 'a\nb', '---', 'n' * 3000)],
      **_EVERYWHERE,
    },
  ),
  'serve': Grammar(
    # It ends, whatever is drawn: a folder is no token.
    ['--workdir={trained}', '--port=0', '--token_file={here}'],
    {
      'workdir': _TRAINED,
      'bundle': _BUNDLE,
      'host': bad('', '0.0.0.0', 'nowhere.invalid', 'a\nb', '²', 'n' * 3000),
      'port': bad('', '-1', '65536', 'x', '9' * 5000),
      'allowed_hosts': bad('', 'a b', ',', '\udcff', '*', 'http://x/'),
      'token_file': bad('', '{here}', '{fifo}', '{file}/x', '/proc/x'),
      'exclude': bad('', 'nowhere', '{here}', '{fifo}', '{loop}'),
      'contact': bad('', '\udcff'),
      **_EVERYWHERE,
    },
    codes=(2,),
  ),
  'forget': Grammar(
    ['--bundle={bundle}', '--account=nobody'],
    {
      'bundle': [*good('{bundle}'), *_NO_FOLDER, *bad('{trained}', '{here}')],
      'account': [*good('a\nb', '\x1b[31m'), *bad('', '\udcff')],
      'role': [*good('brand', 'influencer'), *bad('', 'Brand', '²')],
      'index': bad('', 'nowhere', '{here}', '{fifo}', '{file}', ','),
      'exclude': [*good('x'), *_NO_OUTPUT],
      **_EVERYWHERE,
    },
  ),
  'records': Grammar(
    ['--bundle={bundle}', '--output=new'],
    {
      'bundle': [*good('{bundle}'), *_NO_FOLDER, *bad('{trained}', '{here}')],
      'builder': bad('', 'x', 'x/y', 'brand_micro_influencer/x'),
      'data_dir': bad('', '{here}', 'nowhere'),
      'output': [*good('x', '\N{SNOWMAN}'), *_NO_NEW_FOLDER],
      'check': bad('', 'nowhere', '{here}', '{bundle}', '{file}'),
      'file_mib': [*good('1', '1048576'), *_NO_NUMBER, *bad('0', '1048577')],
      **_EVERYWHERE,
    },
  ),
  'prepare': Grammar(
    ['--raw={here}', '--bundle=new'],
    {
      'raw': [*_NO_FOLDER, *bad('{bundle}', '{trained}')],
      'bundle': _NO_NEW_FOLDER,
      'work': bad('', '{file}', '{file}/x', '/proc/x', '{loop}'),
      'report': bad('', '{file}', '/proc/x', '{loop}'),
      'fitted': [*_NO_FOLDER, *bad('{bundle}', '{trained}')],
      'brand_files': bad('', 'x', '{file}', '/proc/x'),
      'weights': bad('', 'nowhere', '{file}', '{here}'),
      'image_encoder': bad('', 'x', 'pattern', 'pattern:²,1', 'pattern:0,4'),
      'tagger': bad('', 'x', '²'),
      'language': bad('', 'x', '²', 'english'),
      'topics': bad('', '0', '-1', 'x', '²', '9' * 5000),
      'audience_topics': bad('', '0', 'x'),
      'topic_grid': bad('', ',', '0', '8,x'),
      'is_a': bad('', 'nowhere', '{here}', '{fifo}'),
      'wordnet': bad('', 'nowhere', '{here}'),
      'threshold': bad('', 'x', 'nan', '-1', '2'),
      'max_share': bad('', 'x', 'nan', '0', '2'),
      'import': bad('', 'x', 'instaloader', 'tables'),
      'source': bad('', 'nowhere', '{here}', '{file}'),
      'pictures': bad('', 'nowhere', '{here}'),
      'runner': bad('', 'x', '²'),
      'beam': bad('', 'x', '--x'),
      'embedded': bad('', 'maybe', 'true'),
      'world': bad('', 'full', 'tiny'),
      'records': [*good('true'), *bad('', 'maybe')],
      'accounts_table': bad('', 'nowhere', '{here}', '{fifo}'),
      'followers_table': bad('', 'nowhere', '{here}', '{fifo}'),
      'interactions_table': bad('', 'nowhere', '{here}', '{fifo}'),
      'skip_bad': good('true', 'false'),
      **{
        k: [*_NO_NUMBER, *bad('0')]
        for k in (
          'posts',
          'followers',
          'follower_posts',
          'min_count',
          'min_attribute',
          'passes',
          'workers',
          'shard_size',
        )
      },
      'seed': _NO_NUMBER,
      **_EVERYWHERE,
    },
    codes=(2,),  # there are no posts
  ),
  'large_data': Grammar(
    ['--folder={bundle}'],
    {
      'folder': [*_NO_TEXT, *bad('{file}', '{fifo}', '{file}/x', '/proc/x')],
      'accounts': [*_NO_NUMBER, *bad('0', '1', '1999')],
      'keep': [*good('true'), *bad('', 'maybe')],
      'show': [*good('true'), *bad('', 'maybe')],
      **_EVERYWHERE,
    },
    codes=(2,),  # the folder is there
  ),
}
