"""The digital twin in PyTorch: rotation-equivariant (or plain) convolutional core, factorised readout.

Written from the model's definition, independently of the Rust engine, for two uses: float64 reference values
(tests/fixtures/generate.py) and a fair float32 opponent (train.py). It is the program that an experienced PyTorch
user would write: the filter bank is one batched matrix product, the readout a matrix product over pixels.

    python benches/peers/model.py --check     # golden values and symmetry laws, float64

Conventions: activations NCHW; channel = orientation * features + feature; filters (out, in, row, column).
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

NORM_EPSILON = 1e-3
PENALTY_EPSILON = 1e-8
LOG_EPSILON = 1e-5
UPSAMPLING = 2


@dataclass
class Config:
    """The keys of [core], [readout] and [penalties] that decide values."""

    kind: str = "rotation-equivariant"  # or "convolutional"
    orientations: int = 8
    filter_sizes: list = field(default_factory=lambda: [13, 5, 5])
    features: list = field(default_factory=lambda: [16, 16, 16])
    padding: str = "same"  # or "valid"
    shared_norm: bool = False
    positive_features: bool = False
    output: str = "softplus"  # "elu+1", "exponential", "linear"
    smoothness: float = 0.0249692
    smoothness_per_layer: list = field(default_factory=lambda: [1.0, 0.5, 0.5])
    group_sparsity: float = 0.0152482
    group_sparsity_per_layer: list = field(default_factory=lambda: [0.0, 1.0, 1.0])
    readout_sparsity: float = 0.0170696

    @property
    def turns(self):
        """Orientations; a plain CNN has one."""
        return self.orientations if self.kind == "rotation-equivariant" else 1

    @property
    def channels(self):
        """Channels that the readout sees."""
        return self.turns * self.features[-1]

    @property
    def decay(self):
        """Of the moving statistics."""
        return 0.9 if self.kind == "rotation-equivariant" else 0.98

    def map_size(self, height, width):
        """Size of the last map for an image of this size."""
        cut = 0 if self.padding == "same" else sum(k - 1 for k in self.filter_sizes)
        return height - cut, width - cut


# ---------------------------------------------------------------------------------------------------------------------
# Steerable Hermite basis


def angular_orders(size):
    """(mu, nu, kind) of each basis function, kind being "z", "r" (cosine) or "i" (sine)."""
    table = []
    for rank in range(size):
        for mu in range(rank % 2, rank + 1, 2):
            nu = (rank - mu) // 2
            table += [(mu, nu, "z")] if mu == 0 else [(mu, nu, "r"), (mu, nu, "i")]
    return table


def laguerre(nu, alpha, x):
    """Generalised Laguerre polynomial, by its three-term recurrence."""
    below, here = torch.zeros_like(x), torch.ones_like(x)
    for n in range(nu):
        below, here = here, ((2 * n + 1 + alpha - x) * here - (n + alpha) * below) / (n + 1)
    return here


def hermite_basis(size):
    """Normalised basis on the upsampled grid: (M, u size, u size), float64."""
    n = size * UPSAMPLING
    half = 2 * math.sqrt(size)
    t = -half + (2 * half / n) * (torch.arange(n, dtype=torch.float64) + 0.5)
    y, x = t[:, None].expand(n, n), t[None, :].expand(n, n)
    r2, theta = x * x + y * y, torch.atan2(y, x)
    basis = []
    for mu, nu, kind in angular_orders(size):
        radial = (-1) ** nu * r2 ** (mu / 2) * laguerre(nu, mu, r2 / 2) * torch.exp(-r2 / 4)
        wave = {"z": 1.0, "r": torch.cos(mu * theta), "i": torch.sin(mu * theta)}[kind]
        values = radial * wave
        basis.append(values / values.norm())
    return torch.stack(basis)


def rotation(size, angle):
    """Orthogonal (M, M) matrix that turns coefficients counter-clockwise on screen."""
    table = angular_orders(size)
    matrix = torch.eye(len(table), dtype=torch.float64)
    for j, (mu, _, kind) in enumerate(table):
        if kind == "r":
            c, s = math.cos(mu * angle), math.sin(mu * angle)
            matrix[j : j + 2, j : j + 2] = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    return matrix


def rotated_basis(size, orientations):
    """Block-summed basis seen by unrotated coefficients at each orientation: (O, M, size * size), float64."""
    up = hermite_basis(size)
    small = up.reshape(-1, size, UPSAMPLING, size, UPSAMPLING).sum((2, 4)).reshape(-1, size * size)
    return torch.stack([rotation(size, 2 * math.pi * q / orientations).T @ small for q in range(orientations)])


def laplacian_matrix(size):
    """Zero-padded Laplacian on size x size filters as a matrix, (size^2, size^2), float64."""
    kernel = torch.tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]], dtype=torch.float64)
    unit = torch.eye(size * size, dtype=torch.float64).reshape(-1, 1, size, size)
    return F.conv2d(unit, kernel[None, None], padding=1).reshape(size * size, size * size)


# ---------------------------------------------------------------------------------------------------------------------
# Core


class Layer(nn.Module):
    """One convolution with its filters, normalisation and penalties."""

    def __init__(self, config, index, dtype):
        super().__init__()
        self.size = config.filter_sizes[index]
        self.orientations = config.turns
        self.features = config.features[index]
        self.first = index == 0
        self.last = index == len(config.features) - 1
        self.steerable = config.kind == "rotation-equivariant"
        self.shared = config.shared_norm and self.steerable
        self.padding = (self.size - 1) // 2 if config.padding == "same" else 0
        self.momentum = 1 - config.decay
        previous = 1 if self.first else config.features[index - 1]
        self.inputs = 1 if self.first else self.orientations * previous
        outputs = self.orientations * self.features

        # Calculated in float64, kept in the model's type.
        self.register_buffer("laplacian", laplacian_matrix(self.size).to(dtype))
        if self.steerable:
            self.register_buffer("basis", rotated_basis(self.size, self.orientations).to(dtype))
            count = self.size * (self.size + 1) // 2
            self.kernel = nn.Parameter(truncated_normal((count, self.inputs, self.features), 0.1, dtype))
        else:
            self.kernel = nn.Parameter(truncated_normal((outputs, self.inputs, self.size, self.size), 0.01, dtype))

        width = self.features if self.shared else outputs
        self.offset = nn.Parameter(torch.zeros(width, dtype=dtype))
        self.gain = nn.Parameter(torch.ones(width, dtype=dtype)) if self.steerable and not self.last else None
        self.register_buffer("mean", torch.zeros(width, dtype=dtype))
        self.register_buffer("variance", torch.ones(width, dtype=dtype))

    def filters(self):
        """Filters of all orientations: (out, in, size, size)."""
        if not self.steerable:
            return self.kernel
        base = self.kernel.permute(2, 1, 0)  # (F, in, M)
        turns = range(self.orientations)
        if self.first:
            rolled = base.unsqueeze(0).expand(self.orientations, -1, -1, -1)
        else:
            block = self.inputs // self.orientations
            rolled = torch.stack([base.roll(q * block, 1) for q in turns])  # (O, F, in, M)
        bank = torch.bmm(rolled.reshape(self.orientations, -1, base.shape[2]), self.basis)
        return bank.reshape(-1, self.inputs, self.size, self.size)

    def forward(self, x, filters):
        y = F.conv2d(x, filters, padding=self.padding)
        shape = y.shape
        if self.shared:  # orientations join the batch
            y = y.reshape(shape[0] * self.orientations, self.features, *shape[2:])
        y = F.batch_norm(
            y, self.mean, self.variance, self.gain, self.offset, self.training, self.momentum, NORM_EPSILON
        ).reshape(shape)
        return y if self.last else softplus(y)

    def folded(self):
        """Filters and bias with the moving statistics folded in, for prediction."""
        scale = torch.rsqrt(self.variance + NORM_EPSILON) * (1 if self.gain is None else self.gain)
        shift = self.offset - self.mean * scale
        if self.shared:
            scale, shift = scale.repeat(self.orientations), shift.repeat(self.orientations)
        return self.filters() * scale[:, None, None, None], shift

    def smoothness(self, filters):
        flat = filters.reshape(-1, self.inputs, self.size * self.size)
        rough = (flat @ self.laplacian).square().sum((1, 2))
        return (rough / (PENALTY_EPSILON + flat.square().sum((1, 2)))).sum()

    def group_sparsity(self, filters):
        norms = torch.linalg.vector_norm(filters.flatten(2), dim=2)  # (out, in); gradient 0 at 0
        return (norms.sum(1) / torch.sqrt(PENALTY_EPSILON + norms.square().sum(1))).sum()


def softplus(x):
    return F.softplus(x, threshold=40.0)


def truncated_normal(shape, sd, dtype):
    return nn.init.trunc_normal_(torch.empty(shape, dtype=dtype), std=sd, a=-2 * sd, b=2 * sd)


class Core(nn.Module):
    def __init__(self, config, dtype=torch.float32):
        super().__init__()
        self.config = config
        self.layout = torch.contiguous_format  # of the filters, which decides that of the maps
        self.layers = nn.ModuleList(Layer(config, l, dtype) for l in range(len(config.features)))

    def filters(self):
        return [layer.filters().contiguous(memory_format=self.layout) for layer in self.layers]

    def forward(self, x, filters):
        for layer, bank in zip(self.layers, filters):
            x = layer(x, bank)
        return x

    def penalties(self, filters):
        """(smoothness, group sparsity), weighted."""
        c = self.config
        smooth = group = torch.zeros((), dtype=filters[0].dtype, device=filters[0].device)
        for layer, bank, s, g in zip(self.layers, filters, c.smoothness_per_layer, c.group_sparsity_per_layer):
            if s * c.smoothness:
                smooth = smooth + c.smoothness * s * layer.smoothness(bank)
            if g * c.group_sparsity:
                group = group + c.group_sparsity * g * layer.group_sparsity(bank)
        return smooth, group


# ---------------------------------------------------------------------------------------------------------------------
# Readout, loss


class Readout(nn.Module):
    """Factorised readout. `order` names what is contracted first: "mask" (pixels) or "features" (channels)."""

    def __init__(self, config, neurons, height, width, dtype=torch.float32, order="mask"):
        super().__init__()
        self.config, self.order = config, order
        self.mask = nn.Parameter(truncated_normal((neurons, height, width), 0.01, dtype))
        self.features = nn.Parameter(truncated_normal((neurons, config.channels), 0.01, dtype))
        self.bias = nn.Parameter(torch.zeros(neurons, dtype=dtype))
        self.register_buffer("response_scale", torch.ones(neurons, dtype=dtype))

    def weights(self):
        """(mask over pixels, feature weights), as applied."""
        return self.mask.abs().flatten(1), self.features.abs() if self.config.positive_features else self.features

    def drive(self, x, mask, features):
        """Input to the output nonlinearity, without the bias: (B, N)."""
        last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        if last:
            x = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, P, C), a view
            if self.order == "mask":
                return (torch.matmul(mask, x) * features).sum(2)
            return (torch.matmul(x, features.T) * mask.T).sum(1)
        x = x.flatten(2)  # (B, C, P)
        if self.order == "mask":
            return (torch.matmul(x, mask.T) * features.T).sum(1)
        return (torch.matmul(features, x) * mask).sum(2)

    def nonlinearity(self, h):
        output = self.config.output
        if output == "softplus":
            return softplus(h)
        if output == "elu+1":
            return F.elu(h) + 1
        if output == "exponential":
            return torch.exp(h)
        assert output == "linear", output
        return h

    def forward(self, x):
        return self.nonlinearity(self.drive(x, *self.weights()).to(self.bias.dtype) + self.bias)

    def penalty(self):
        mask, features = self.mask.abs().sum((1, 2)), self.features.abs().sum(1)
        return self.config.readout_sparsity * (mask * features).sum()


def poisson(predicted, responses, recorded=None):
    """Mean over the batch of the sum over recorded (not NaN) neurons."""
    if recorded is None:
        recorded = ~torch.isnan(responses)
        responses = torch.where(recorded, responses, 0)
    terms = predicted - responses * torch.log(predicted + LOG_EPSILON)
    return torch.where(recorded, terms, 0).sum() / len(predicted)


def initial_bias(mean_response):
    return 0.5 * torch.log(torch.expm1(mean_response))


class Twin(nn.Module):
    """A core and one readout per recording; `maps` gives the readouts' (neurons, image height, image width)."""

    def __init__(self, config, maps, dtype=torch.float32, order="mask"):
        super().__init__()
        self.config = config
        self.core = Core(config, dtype)
        self.readouts = nn.ModuleDict(
            {name: Readout(config, n, *config.map_size(h, w), dtype, order) for name, (n, h, w) in maps.items()}
        )
        self.register_buffer("input_mean", torch.zeros(1, dtype=dtype))
        self.register_buffer("input_sd", torch.ones(1, dtype=dtype))

    def predict(self, name, grey, filters=None):
        """Responses to grey levels (B, H, W) in the recording's unit."""
        readout = self.readouts[name]
        z = ((grey - self.input_mean) / self.input_sd).unsqueeze(1)
        x = self.core(z, self.core.filters() if filters is None else filters)
        return readout(x) * readout.response_scale

    def losses(self, batches):
        """Terms of one step. `batches`: {name: (z-scored images (B, 1, H, W), scaled responses (B, N))}, in order."""
        filters = self.core.filters()
        terms = {"poisson": 0.0, "smoothness": 0.0, "group_sparsity": 0.0, "readout_sparsity": 0.0}
        for name, (images, responses) in batches.items():
            readout = self.readouts[name]
            terms["poisson"] = terms["poisson"] + poisson(readout(self.core(images, filters)), responses)
            terms["readout_sparsity"] = terms["readout_sparsity"] + readout.penalty()
        terms["smoothness"], terms["group_sparsity"] = self.core.penalties(filters)
        return terms

    def loss(self, images, responses):
        """Of one step on one recording."""
        (name,) = self.readouts
        return sum(self.losses({name: (images, responses)}).values())

    def optimiser(self):
        return torch.optim.Adam(self.parameters(), lr=0.002, fused=True)

    # Tensors by the names that run directories use.

    def named(self):
        table = {"input.mean": self.input_mean, "input.sd": self.input_sd}
        for l, layer in enumerate(self.core.layers):
            table[f"core.{l}." + ("coefficients" if layer.steerable else "weights")] = layer.kernel
            if layer.gain is not None:
                table[f"core.{l}.norm.gain"] = layer.gain
            table[f"core.{l}.norm.offset"] = layer.offset
            table[f"core.{l}.norm.mean"] = layer.mean
            table[f"core.{l}.norm.variance"] = layer.variance
        for name, readout in self.readouts.items():
            for part in ("mask", "features", "bias", "response_scale"):
                table[f"readout.{name}.{part}"] = getattr(readout, part)
        return table

    @torch.no_grad()
    def load(self, tensors):
        """Copy tensors in by name; names absent from `tensors` keep their values."""
        table = self.named()
        for name, value in tensors.items():
            table[name].copy_(torch.as_tensor(value))


class Predictor:
    """Prediction with everything that does not depend on the image calculated beforehand."""

    def __init__(self, twin, name, channels_last=False):
        with torch.no_grad():
            self.readout = twin.readouts[name]
            layout = torch.channels_last if channels_last else torch.contiguous_format
            self.layers = []
            for layer in twin.core.layers:
                filters, bias = layer.folded()
                self.layers.append((filters.to(memory_format=layout).detach(), bias.detach(), layer.padding))
            self.weights = [w.detach().contiguous() for w in self.readout.weights()]

    @torch.no_grad()
    def __call__(self, x):
        """Responses to z-scored images (B, 1, H, W)."""
        for l, (filters, bias, padding) in enumerate(self.layers):
            x = F.conv2d(x, filters, bias, padding=padding)
            if l + 1 < len(self.layers):
                x = softplus(x)
        r = self.readout
        return r.nonlinearity(r.drive(x, *self.weights).to(r.bias.dtype) + r.bias) * r.response_scale


# ---------------------------------------------------------------------------------------------------------------------
# Self test


def filled(*shape):
    """Coefficients 0.1 sin(1 + flat index)."""
    return 0.1 * torch.sin(1 + torch.arange(math.prod(shape), dtype=torch.float64)).reshape(shape)


def check():
    """Every golden value of the model's definition for basis, filters, penalties, forward pass and loss."""
    count = 0

    def near(got, want, tolerance, what):
        nonlocal count
        got = torch.as_tensor(got, dtype=torch.float64)
        want = torch.as_tensor(want, dtype=torch.float64)
        worst = (got - want).abs().max().item()
        assert got.shape == want.shape and worst <= tolerance, f"{what}: off by {worst:.3g}"
        count += want.numel()

    f64 = torch.float64

    # G1: basis
    near(
        hermite_basis(5)[:, 3, 7],
        [0.0651862769, 0.1457677337, -0.0874606402, 0.1565317297, 0.1043544869, -0.1955770433, 0.1447174483,
         -0.0868304690, -0.0119175612, -0.2359677127, -0.0013209039, 0.0245034560, -0.0453316752, -0.1217996345,
         -0.1813268311],
        1e-10, "basis, size 5",
    )  # fmt: skip
    near(
        hermite_basis(13)[[0, 9, 18, 27, 36, 45, 54, 72, 81], 9, 16],
        [0.0336116880, -0.1004138896, 0.0115862201, 0.0948631051, 0.0421705613, 0.0621301427, -0.0218650687,
         0.0753891263, 0.0858351312],
        1e-10, "basis, size 13",
    )  # fmt: skip

    # G2: rotated filters
    def single(size):
        layer = Layer(Config(filter_sizes=[size], features=[1]), 0, f64)
        layer.kernel.data = filled(size * (size + 1) // 2, 1, 1)
        return layer.filters().detach()[:, 0]

    bank = single(5)
    near(
        bank[0],
        [[-0.0330073, -0.0958268, -0.0250283, -0.0594177, -0.0387480],
         [-0.0958290, -0.1472672, 0.1267780, -0.0176914, -0.0993501],
         [-0.1548678, -0.0523407, 0.1042974, 0.1465505, 0.0068445],
         [-0.1724375, -0.0845209, 0.1686254, -0.0309766, -0.0141089],
         [-0.0368021, 0.0201108, 0.1541449, 0.0007167, -0.0144916]],
        1e-7, "filter, size 5, q = 0",
    )  # fmt: skip
    near(
        bank[1],
        [[-0.0066594, -0.0349411, -0.1294409, -0.0717966, -0.0073804],
         [-0.0719648, 0.0298168, 0.1471262, 0.0923710, 0.0007579],
         [-0.1548692, -0.0201736, 0.1072669, 0.0057545, -0.0481387],
         [-0.0897409, -0.1595032, 0.0161729, 0.2263517, 0.0374807],
         [-0.0320023, -0.1658456, -0.1356229, 0.0694507, 0.0248449]],
        1e-7, "filter, size 5, q = 1",
    )  # fmt: skip
    near(bank[2, 0], [-0.0387480, -0.0993501, 0.0068445, -0.0141089, -0.0144916], 1e-7, "filter, size 5, q = 2")
    bank = single(13)
    near(
        [bank[0, 6, 6], bank[0, 0, 0], bank[0, 3, 9], bank[1, 6, 6], bank[1, 3, 9], bank[3, 3, 9]],
        [0.02657941, -0.00012087, -0.01972333, 0.02744182, 0.05226790, 0.05265948],
        1e-8, "filters, size 13",
    )  # fmt: skip
    sums, norms = bank.sum((1, 2)), bank.flatten(1).norm(dim=1)
    near(sums[[0, 1, 3]], [-2.25508764, -2.14700294, -2.14700294], 1e-8, "sums, size 13")
    near(norms[[0, 1, 3]], [1.10529220, 1.11318730, 1.11318730], 1e-8, "norms, size 13")

    # G3: penalties of layers A (first) and B
    config = Config(filter_sizes=[5, 5], features=[2, 3])
    a, b = (Layer(config, l, f64) for l in (0, 1))
    a.kernel.data, b.kernel.data = filled(15, 1, 2), filled(15, 16, 3)
    wa, wb = a.filters().detach(), b.filters().detach()
    near(a.smoothness(wa), 114.20248556905784, 1e-11, "smoothness, first layer")
    near(a.group_sparsity(wa), 15.99999962420978, 1e-12, "group sparsity, first layer")
    near(b.smoothness(wb), 214.73645204428607, 1e-11, "smoothness, second layer")
    near(b.group_sparsity(wb), 95.9707630210093, 1e-12, "group sparsity, second layer")
    near(wb[10, 5, 2, 1], 0.28361355492580553, 1e-15, "one weight")

    # G4: forward
    image = torch.cos(0.7 * torch.arange(72, dtype=f64)).reshape(1, 1, 8, 9)
    h = softplus(F.conv2d(image, wa, padding=2))[0]
    y = F.conv2d(h[None], wb, padding=2)[0]
    near([h[0, 0, 0], h[7, 3, 4]], [0.854723148, 0.402370185], 1e-9, "first layer's map")
    near(h.sum(), 775.8600590, 1e-7, "first layer's sum")
    near([y[0, 0, 0], y[10, 4, 5], y[23, 7, 8]], [0.099294009, 0.180120510, -0.328706830], 1e-9, "second layer's map")
    near(y.sum(), 200.1214743, 1e-7, "second layer's sum")

    # G6: loss and bias
    predicted, observed = torch.tensor([[0.5, 1.0], [2.0, 0.1]], dtype=f64), torch.tensor([[1.0, 0.0], [3.0, 0.5]], dtype=f64)
    near(poisson(predicted, observed), 1.6824565940572311, 1e-15, "Poisson loss")
    near(initial_bias(torch.tensor(0.8, dtype=f64)), 0.10169116040551239, 1e-15, "initial bias")
    print(f"{count} golden values hold")

    # Laws: quarter turns of filters are exact; turning the image rolls the orientations; the layouts, contraction
    # orders and folding change nothing.
    for q in (2, 4, 6):
        near(bank[q], torch.rot90(bank[0], q // 2), 1e-14, f"quarter turns, q = {q}")
    torch.manual_seed(1)
    for padding in ("same", "valid"):
        config = Config(orientations=4, filter_sizes=[5, 3], features=[2, 3], padding=padding, shared_norm=True)
        twin = Twin(config, {"r": (7, 15, 15)}, f64).eval()
        for tensor in twin.named().values():
            tensor.data.add_(0.3 * torch.rand_like(tensor))
        x = torch.randn(3, 1, 15, 15, dtype=f64)
        filters = twin.core.filters()
        straight, turned = (twin.core(v, filters).unflatten(1, (4, 3)) for v in (x, torch.rot90(x, 1, (2, 3))))
        near(turned, torch.rot90(straight, 1, (3, 4)).roll(1, 1), 1e-12, "equivariance")
        twin.input_mean.zero_()
        twin.input_sd.fill_(1)
        want = twin.predict("r", x[:, 0])
        for order in ("mask", "features"):
            for last in (False, True):
                twin.readouts["r"].order = order
                z = x.to(memory_format=torch.channels_last) if last else x
                near(Predictor(twin, "r", last)(z), want, 1e-12, f"{padding}, {order} first, channels last {last}")
    missing = torch.tensor([[1.0, float("nan")], [3.0, 0.5]], dtype=f64)
    near(poisson(predicted, missing), 1.6824565940572311 - 0.5, 1e-15, "Poisson loss with a missing response")
    print("laws hold")


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description="PyTorch reference of the digital twin")
    parser.add_argument("--check", action="store_true", required=True, help="assert the golden values")
    parser.parse_args()
    check()
