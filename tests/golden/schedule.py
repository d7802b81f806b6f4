"""Writes schedule.json: learning-rate factors of transformers' get_scheduler.

    python tests/golden/schedule.py       made with transformers 5.23.0, torch 2.15.0
"""

import json
import pathlib

import torch
from transformers import get_scheduler

cases = []
for shape, name in [("linear", "linear"), ("cosine", "cosine"), ("constant", "constant_with_warmup")]:
    for warmup, total in [(0, 7), (3, 10), (1, 1), (5, 5), (4, 31)]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
        factors = []
        for _ in range(total):
            factors.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        cases.append({"shape": shape, "warmup": warmup, "total": total, "factors": factors})
out = pathlib.Path(__file__).with_name("schedule.json")
out.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
