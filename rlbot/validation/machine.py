"""Python, the packages, precision and the GPU of this machine."""

# Each package is imported within its check, so that a missing one is a failed check and not a traceback.
import importlib
import importlib.metadata
import sys

from rlbot.validation.require import require

PACKAGES = {  # distribution: the module that is imported
    "hydra-core": "hydra",
    "omegaconf": "omegaconf",
    "torch": "torch",
    "filelock": "filelock",
    "gymnasium": "gymnasium",
    "rocketsim": "RocketSim",
    "numpy": "numpy",
    "numba": "numba",
    "llvmlite": "llvmlite",
    "threadpoolctl": "threadpoolctl",
    "matplotlib": "matplotlib",
    "pillow": "PIL",
    "tensorboard": "tensorboard",
    "nvidia-ml-py": "pynvml",
    "safetensors": "safetensors",
    "rich": "rich",
}


def python_version() -> str:
    found = ".".join(map(str, sys.version_info[:3]))
    require((3, 10) <= sys.version_info[:2] < (3, 14), f"{found} does not fit; it must be >=3.10,<3.14")
    return found


def import_package(distribution: str, module: str) -> str:
    importlib.import_module(module)
    return importlib.metadata.version(distribution)


def numpy_version() -> str:
    import numpy as np

    major, minor = map(int, np.__version__.split(".")[:2])
    require((1, 26) <= (major, minor) < (3, 0), f"{np.__version__} does not fit; it must be >=1.26,<3")
    return str(np.__version__)


def mixed_precision() -> str:
    """Takes a step of gradient descent in every precision of this machine, with torch.amp."""
    import torch

    from rlbot.hardware import Hardware

    device = Hardware.choose().device.type
    native = device == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    tried = {"fp16": torch.float16} if device == "cuda" else {}
    tried |= {"bf16": torch.bfloat16} if native else {}
    for precision, dtype in tried.items():
        hardware = Hardware.choose(device, precision)
        weight = torch.ones(64, 64, device=device, requires_grad=True)
        optimizer, scaler = torch.optim.SGD([weight], lr=0.1), hardware.scaler()
        fits = scaler.is_enabled() == (precision == "fp16")
        require(fits, f"{precision}: the gradient scaler is {'on' if scaler.is_enabled() else 'off'}")
        with hardware.autocast():
            product = weight @ weight
        require(product.dtype == dtype, f"{precision}: a matrix product is {product.dtype}")
        torch.autograd.backward(scaler.scale(product.float().mean()))
        scaler.step(optimizer)
        scaler.update()
        require(bool((weight < 1).all()), f"{precision}: the step was not taken")
    scaled = "on in fp16 only" if "fp16" in tried else "off"
    return f"torch.amp on {device} in {' and '.join(tried)}; gradient scaler {scaled}"


def gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none that PyTorch sees; training runs on the CPU"
    properties = torch.cuda.get_device_properties(0)
    matrix = torch.arange(64.0, device="cuda").reshape(8, 8)
    same = torch.equal((matrix @ matrix).cpu(), matrix.cpu() @ matrix.cpu())  # integers: exact on any device
    require(same, "a matrix product is wrong")
    return f"{properties.name}, {properties.total_memory / 2**20:.0f} MB, a matrix product is right"
