"""Recognisers as folders: an ONNX file, ``model.json``, a card. SVM, CNN and RNN are one runtime class.

::

    spec.py        model.json, checked: `Spec`, `Head`, `State`, `Encoder`
    folders.py     where models lie: `find`, `installed`
    network.py     the ONNX file, open and checked against its spec
    sequences.py   films through a network: step by step, or in windows
    runtime.py     `Model`: crops in, probabilities and embeddings out, with memory or without
    installing.py  `add`
    embedding.py   what a network has learned to see, as a feature for other machines

Which module a name comes from is nobody's business: all are imported from here.
"""

from pyfer.features import KINDS as KINDS
from pyfer.files import home as home
from pyfer.models.embedding import Embedding as Embedding
from pyfer.models.folders import _SHIPPED as _SHIPPED
from pyfer.models.folders import DEFAULT_MODEL as DEFAULT_MODEL
from pyfer.models.folders import find as find
from pyfer.models.folders import installed as installed
from pyfer.models.installing import add as add
from pyfer.models.network import BATCH as BATCH
from pyfer.models.network import cores as cores
from pyfer.models.runtime import Memory as Memory
from pyfer.models.runtime import Model as Model
from pyfer.models.runtime import OnDone as OnDone
from pyfer.models.runtime import Output as Output
from pyfer.models.runtime import Recogniser as Recogniser
from pyfer.models.runtime import stepped as stepped
from pyfer.models.spec import FEATURES as FEATURES
from pyfer.models.spec import Encoder as Encoder
from pyfer.models.spec import Head as Head
from pyfer.models.spec import Spec as Spec
from pyfer.models.spec import State as State
from pyfer.models.spec import read_spec as read_spec
from pyfer.models.spec import shares as shares
from pyfer.models.spec import softmax as softmax
