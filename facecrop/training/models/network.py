"""The network of a training: for each picture, what each head says."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

SHARED = "shared"


class Network(nn.Module):
    """One trunk, the neck that its heads share, and the heads.

    Args:
        trunk: (N, 3, H, W) -> (N, D) features.
        neck: (N, D) -> (N, E); an empty `Sequential` where there is none.
        heads: By name of the output: (N, E) -> (N, width).
    """

    def __init__(self, trunk: nn.Module, neck: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.trunk = trunk
        self.neck = neck
        self.heads = nn.ModuleDict(dict(heads))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return what each head says of normalised pictures (N, 3, H, W): (N, width) each."""
        shared = self.neck(self.trunk(images))
        return {name: head(shared) for name, head in self.heads.items()}


class Model(nn.Module):
    """One network with all heads, or a whole network for each output.

    Args:
        networks: By name: `SHARED` alone, or the outputs' names.
        start: Where the trunks' weights came from, in words, for the run's record.
    """

    def __init__(self, networks: Mapping[str, Network], start: str = "random") -> None:
        super().__init__()
        self.networks = nn.ModuleDict(dict(networks))
        self.start = start
        self.frozen = False

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name, (N, width) each, of normalised pictures (N, 3, H, W)."""
        outputs: dict[str, Tensor] = {}
        for network in self.networks.values():
            outputs |= network(images)
        return outputs

    @property
    def trunks(self) -> dict[str, nn.Module]:
        """The trunks, by the name of their network."""
        return {name: network.get_submodule("trunk") for name, network in self.networks.items()}

    def set_frozen(self, frozen: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Keep the trunks as they are, or let them learn again.

        A frozen trunk has no gradients, and stays in evaluation mode whatever `train` says: its
        batch norms neither use the batch nor follow it, its dropout and stochastic depth rest.
        """
        self.frozen = frozen
        for trunk in self.trunks.values():
            trunk.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Model":  # noqa: FBT001, FBT002 - torch's signature
        """Set training mode, but for frozen trunks."""
        super().train(mode)
        if self.frozen:
            for trunk in self.trunks.values():
                trunk.eval()
        return self

    def undecayed(self) -> set[str]:
        """Return the parameters that the trunk's authors keep from weight decay, by full name."""
        named: set[str] = set()
        for network, trunk in self.trunks.items():
            no_weight_decay: Callable[[], set[str]] = getattr(trunk, "no_weight_decay", set)
            named |= {f"networks.{network}.trunk.{name}" for name in no_weight_decay()}
        return named
