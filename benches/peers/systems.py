"""Other systems of the papers in PyTorch, as their users would write them: Kindel et al.'s network, and the core of model.py behind
a Gaussian readout (Lurz et al. 2021, as neuralpredictors' FullGaussian2d: bilinear samples by grid_sample)."""

import torch
import torch.nn.functional as F
from torch import nn

from model import Core, poisson, softplus, truncated_normal


class Kindel(nn.Module):
    """Convolutions with max-pooling, a dense layer with dropout, one linear unit per neuron; variance-scaled squared error."""

    def __init__(self, neurons, height, width, order=None):
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(1, 16, 7, padding=3), nn.Conv2d(16, 32, 7, padding=3)])
        pooled = lambda n: (((n - 3) // 2 + 1) - 3) // 2 + 1
        self.dense = nn.Linear(32 * pooled(height) * pooled(width), 300)
        self.readout = nn.Linear(300, neurons)
        self.register_buffer("variance", torch.ones(neurons))

    def forward(self, x):
        for convolution in self.convolutions:
            x = F.max_pool2d(torch.relu(convolution(x)), 3, 2)
        x = F.dropout(torch.relu(self.dense(x.flatten(1))), 0.45, self.training)
        return self.readout(x)

    def loss(self, images, responses):
        return ((self(images) - responses).square() / self.variance).sum() / len(images)

    def optimiser(self):
        return torch.optim.SGD(self.parameters(), lr=0.001)


class Gaussian(nn.Module):
    """The rotation-equivariant core; each neuron looks at one place, in training at a random one near it."""

    def __init__(self, config, neurons, order=None):
        super().__init__()
        self.config = config
        self.core = Core(config)
        self.position = nn.Parameter(torch.empty(neurons, 2).uniform_(-0.3, 0.3))
        self.spread = nn.Parameter(0.1 * torch.eye(2).repeat(neurons, 1, 1))
        self.features = nn.Parameter(truncated_normal((neurons, config.channels), 0.01, torch.float32))
        self.bias = nn.Parameter(torch.zeros(neurons))

    def forward(self, x, filters=None):
        x = self.core(x, self.core.filters() if filters is None else filters)
        places = self.position.expand(len(x), -1, -1)
        if self.training:
            noise = torch.randn(len(x), *self.position.shape, device=x.device)
            places = places + torch.einsum("nij,bnj->bni", self.spread, noise)
        seen = F.grid_sample(x, places.unsqueeze(2), align_corners=True).squeeze(3)  # (B, C, N)
        return softplus((seen * self.features.T).sum(1) + self.bias)

    def loss(self, images, responses):
        filters = self.core.filters()
        fit = poisson(self(images, filters), responses)
        return fit + sum(self.core.penalties(filters)) + self.config.readout_sparsity * self.features.abs().sum()

    def optimiser(self):
        return torch.optim.Adam(self.parameters(), lr=0.002, fused=True)
