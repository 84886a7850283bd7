"""Train a base network on several GPUs, with accelerate, and keep its weights.

Run it with ``accelerate launch examples/train_with_accelerate.py base.pt``; docs/distributed.md
goes on from there.
"""

import sys

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def network(n_features, n_outputs):
    """Return the untrained network, as TorchClassifier asks for it."""
    return nn.Sequential(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, n_outputs))


def train(path, n_rows=1500, n_epochs=10):
    """Train it, every process on its part of each epoch's rows, and write the weights."""
    accelerator = Accelerator()
    X, y = load_digits(return_X_y=True)
    rows = TensorDataset(torch.tensor(X[:n_rows], dtype=torch.float32), torch.tensor(y[:n_rows]))
    torch.manual_seed(0)
    module = network(64, 10)
    module, optimizer, batches = accelerator.prepare(
        module,
        torch.optim.AdamW(module.parameters(), lr=0.003),
        DataLoader(rows, batch_size=32, shuffle=True),
    )
    for _ in range(n_epochs):
        for x, target in batches:
            optimizer.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(module(x), target))
            optimizer.step()
    if accelerator.is_main_process:
        print(f"trained by {accelerator.num_processes} processes on {accelerator.device}")
        torch.save(accelerator.unwrap_model(module).state_dict(), path)
    accelerator.end_training()


if __name__ == "__main__":
    train(sys.argv[1])
