r"""The configuration of MORNING.

Variants, each with its command, the time it takes on two CPU cores and the
result to expect (README.md has the figures with their errors):

  default   python -m launch.train --config=configs/morning.py
            The recipe we recommend, on the embedded world: a minute and a half,
            AUC 0.932 of 0.959 that can be reached, MAP 0.257. On the real
            brands of README.md, five folds: a minute, AUC 0.872, MAP 0.270.
  paper     python -m launch.train --config=configs/morning.py:paper \
              --config.data.bundle=bmi_train --config.data.folds=5
            The recipe of the paper (SPEC section 7), 100 epochs of triplets:
            20 minutes for five folds beside other work, AUC 0.827, MAP 0.151.
  release   python -m launch.compare --bundle=bmi_train \
              --methods=morning-release
            The authors' released program, step for step: AUC 0.850, MAP 0.199
            on the same folds (docs/quality.md).
  smoke     python -m launch.train --config=configs/morning.py:smoke
            A small world, to see that everything works: 20 seconds, AUC 0.80
            on the nine test brands.
  pod       python -m launch.train --config=configs/morning.py:pod
            Many devices: wide layers, a batch of 16,384, the loss on a grid,
            bfloat16 products. What it needs, without a device of the kind
            (it has not been measured on one):
            python -m launch.compile --topology=v5e:16x16 \
              --config=configs/morning.py:pod

Any field can be overridden: `--config.train.epochs=5`. Tuples are written
`--config.model.image_widths=256,128`.
"""

import ml_collections
from ml_collections import config_dict

VARIANTS = ('', 'paper', 'release', 'smoke', 'pod')


def get_config(variant: str = '') -> ml_collections.ConfigDict:
  """Returns the configuration of a variant; '' is the default recipe."""
  if variant not in VARIANTS:
    known = ', '.join(v or "'' (the default)" for v in VARIANTS)
    raise ValueError(f'no variant {variant!r} of configs/morning.py: {known}')
  c = ml_collections.ConfigDict()
  c.seed = 0

  c.data = ml_collections.ConfigDict()
  # A bundle's folder; without one, the TFDS builder below.
  c.data.bundle = config_dict.placeholder(str)
  c.data.builder = 'brand_micro_influencer/synthetic'
  # Where TFDS keeps what it prepared; its own default if unset.
  c.data.data_dir = config_dict.placeholder(str)
  # Share of the training brands used for validation where none are given.
  c.data.valid_share = 0.1
  # Above 0: cross-validation over the training brands, this many folds.
  c.data.folds = 0
  # One of the folds, from 0; below 0: all of them, one after another.
  c.data.fold = -1
  # Where the accounts' features lie: 'device', sharded over `data`, or
  # 'stream', on disk, read ahead of the device (docs/streaming.md).
  c.data.placement = 'device'
  # Of 'stream': where the features are written; a folder inside the working
  # folder if unset. Runs may share it.
  c.data.stream_dir = config_dict.placeholder(str)
  c.data.stream_mib = 256  # most MiB of batches in one dispatch, all devices'
  c.data.stream_threads = 2  # dispatches that are loaded at a time

  c.mesh = ml_collections.ConfigDict()
  c.mesh.data = -1  # what `model` leaves
  c.mesh.model = 1
  # Whether weight matrices and their optimizer state shard over `data` too.
  c.mesh.fsdp = False

  c.model = ml_collections.ConfigDict()
  c.model.perspectives = ('content', 'audience', 'attribute')
  c.model.modalities = ('image', 'text')
  # 'residual': plain similarity, corrected by small MLPs. 'paper': SPEC 4.
  c.model.encoder = 'residual'
  # Of each modality's features: 'none', 'hellinger' or 'whiten'.
  c.model.transforms = ml_collections.ConfigDict(
    {'image': 'hellinger', 'text': 'hellinger', 'embedding': 'whiten'}
  )
  c.model.whitening = 0.75  # strength of 'whiten', 0 to 1
  c.model.image_widths = (64, 64)
  c.model.text_widths = (64, 64)
  c.model.attribute_widths = (64, 128)
  c.model.attribute = ml_collections.ConfigDict()
  # 'embedding': the accounts' attribute embeddings that the data brings. Of
  # attribute lists: 'lookup' (a learned vector an attribute, no graph),
  # 'node2vec' (frozen vectors of the graph), 'gcn', 'gat'. Of several, in order
  # of preference (`gcn,embedding`), the first that the data allows is used;
  # 'auto' is 'gcn,embedding'. A single one must be possible.
  c.model.attribute.encoder = 'auto'
  c.model.attribute.start = 'node2vec'  # of 'gcn' and 'gat', or 'learned'
  # Whether the vectors that message passing starts from are frozen.
  c.model.attribute.freeze = True
  c.model.attribute.dimensions = 128
  c.model.attribute.layers = 2
  c.model.attribute.heads = 4  # of 'gat'
  c.model.attribute.edge_dropout = 0.1
  c.model.co_attention = 'none'  # 'paper', 'release' or 'none'
  # Of 'residual': 'learned' or 'random' make representations of modalities that
  # are wider than `projection_width` as narrow as that (docs/scaling.md).
  c.model.projection = 'none'
  c.model.projection_width = 256
  # Of 'residual', as are the next three. An output of 0.02 beside an input of
  # length 1: training starts from plain similarity. Cosines times 10 are the
  # softmax's logits at the start. All were chosen on folds of the real data.
  c.model.hidden_scale = 0.15
  c.model.output_scale = 0.02
  c.model.initial_weight = 10.0
  c.model.hidden_dropout = 0.5
  c.model.init = 'normal'  # of 'paper' ('normal' or 'uniform'), as the rest
  c.model.init_scale = 0.1
  c.model.gate_bias_scale = 0.1
  c.model.layer_dropout = 0.0
  c.model.drop_connect = 0.0
  c.model.dtype = 'float32'  # or 'bfloat16': computation, not parameters

  c.loss = ml_collections.ConfigDict()
  c.loss.kind = 'all_pairs'  # or 'triplet'
  c.loss.variant = 'paper'  # of 'triplet': 'paper' or 'release'
  c.loss.margins = ml_collections.ConfigDict(
    {'content': 4.0, 'audience': 2.0, 'attribute': 2.0}
  )
  c.loss.hinge_weight = 0.0  # of 'all_pairs'
  c.loss.temperature = 1.0  # of 'all_pairs'
  # Of 'all_pairs': weight of a softmax among influencers of brands of the same
  # category as the brand's.
  c.loss.category_weight = 1.5
  # Of 'all_pairs', with several devices: 'grid' gives each one block of the
  # scores, which sends least; 'ring' passes influencers from one to
  # the next, so that none holds all scores; 'none' leaves it to the compiler.
  c.loss.sharding = 'auto'
  c.loss.dtype = 'float32'  # of products in 'all_pairs'; or 'bfloat16'
  c.loss.l1 = 0.0
  c.loss.l2 = 0.01
  c.loss.regularize_scores = False

  c.optimizer = ml_collections.ConfigDict()
  c.optimizer.name = 'adam'  # or 'adam_tf1'
  c.optimizer.epsilon = 1e-8  # added to the root of Adam's second moment
  c.optimizer.learning_rate = 3e-3
  c.optimizer.schedule = 'cosine'  # 'constant', 'exponential' or 'cosine'
  c.optimizer.warmup = 0.0  # share of all steps, of 'cosine'
  c.optimizer.decay_rate = 1.0  # of 'exponential'
  c.optimizer.decay_steps = 0  # of 'exponential'; 0: every epoch
  c.optimizer.weight_decay = 0.0

  c.train = ml_collections.ConfigDict()
  c.train.batch_size = 512  # positives a step
  c.train.negatives = 1  # drawn for each positive, of 'triplet'
  c.train.epochs = 40
  c.train.shuffle = True
  c.train.steps_per_call = 50  # steps of one dispatch

  c.evaluation = ml_collections.ConfigDict()
  c.evaluation.every_epochs = 2.0
  c.evaluation.batch_size = 1024  # accounts encoded at a time
  # Evaluations without a better MAP on `valid` after which to stop; 0: never.
  c.evaluation.patience = 0

  c.checkpoint = ml_collections.ConfigDict()
  c.checkpoint.max_to_keep = 2  # the newest; the best is kept too

  if variant in ('paper', 'release'):
    c.data.valid_share = 0.0
    c.model.encoder = 'paper'
    c.model.attribute.encoder = 'embedding,node2vec'
    c.model.transforms = ml_collections.ConfigDict(
      dict.fromkeys(('image', 'text', 'embedding'), 'none')
    )
    c.model.image_widths = (1024, 1024, 1024, 512)
    c.model.text_widths = (128, 512)
    c.model.attribute_widths = (1024, 512)
    c.model.co_attention = variant
    c.loss.kind = 'triplet'
    c.loss.variant = variant
    c.loss.l1 = 0.001
    c.loss.l2 = 0.0
    c.optimizer.learning_rate = 0.002
    c.optimizer.schedule = 'exponential'
    c.optimizer.weight_decay = 0.0
    c.train.batch_size = 16
    c.train.epochs = 100
    c.train.steps_per_call = 211
    c.evaluation.every_epochs = 10.0
  if variant == 'paper':
    c.model.init = 'uniform'
    c.model.layer_dropout = 0.5
    c.optimizer.decay_rate = 0.95
  if variant == 'release':
    c.model.init = 'normal'
    c.model.gate_bias_scale = 1.0
    c.model.layer_dropout = 0.0
    c.model.drop_connect = 0.5
    c.loss.regularize_scores = True
    c.optimizer.name = 'adam_tf1'
    c.optimizer.decay_rate = 0.99
    c.optimizer.decay_steps = 12_000
    c.train.shuffle = False
  if variant == 'smoke':
    c.data.builder = 'brand_micro_influencer/synthetic_small'
    c.model.attribute.encoder = 'embedding,lookup'
    c.train.batch_size = 64
    c.train.epochs = 10
    c.train.steps_per_call = 20
  if variant == 'pod':
    c.model.image_widths = (1024, 1024, 512)
    c.model.text_widths = (256, 256)
    c.model.attribute_widths = (1024, 512)
    c.model.attribute.encoder = 'embedding,lookup'
    c.model.dtype = 'bfloat16'
    c.loss.dtype = 'bfloat16'
    c.optimizer.warmup = 0.05
    c.train.batch_size = 16_384
  return c
