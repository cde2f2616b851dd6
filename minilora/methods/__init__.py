"""Ways to adapt a frozen base. A new method is a new file and its line in METHODS."""

from minilora.methods.adalora import AdaLoRA
from minilora.methods.base import Method
from minilora.methods.bitfit import BitFit
from minilora.methods.bottleneck import Houlsby, Pfeiffer
from minilora.methods.dora import DoRA
from minilora.methods.full import Full
from minilora.methods.gated_prefix import GatedPrefix
from minilora.methods.ia3 import IA3
from minilora.methods.last_layers import LastLayers
from minilora.methods.loftq import LoftQ
from minilora.methods.lora import LoRA
from minilora.methods.lora_fa import LoRAFA
from minilora.methods.lora_plus import LoRAPlus
from minilora.methods.lora_xs import LoRAXS
from minilora.methods.norms import Norms
from minilora.methods.olora import OLoRA
from minilora.methods.pissa import PiSSA
from minilora.methods.prefix import Prefix
from minilora.methods.prefix_network import PrefixNetwork
from minilora.methods.prompt import Prompt
from minilora.methods.rslora import RsLoRA
from minilora.methods.vera import VeRA

METHODS = (
    Full,
    LoRA,
    RsLoRA,
    LoRAPlus,
    LoRAFA,
    DoRA,
    PiSSA,
    OLoRA,
    VeRA,
    LoRAXS,
    AdaLoRA,
    Houlsby,
    Pfeiffer,
    Prefix,
    PrefixNetwork,
    GatedPrefix,
    Prompt,
    IA3,
    BitFit,
    Norms,
    LastLayers,
    LoftQ,
)
REGISTRY = {method.name: method for method in METHODS}

__all__ = ["METHODS", "REGISTRY", "Method", *(method.__name__ for method in METHODS)]
