#!/usr/bin/env python3
"""Sets TF_CONFIG as SLURM placed the tasks of a step, then runs a command.

srun python examples/slurm/with_tf_config.py bin/train_population.py ...
"""

import json
import os
import sys

import tensorflow as tf

PORT = 29400  # of the first task on each node; others have the next ones


def tf_config():
    """TF_CONFIG of this task, as text."""
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        jobs={"worker": tasks},
        port_base=PORT,
        gpus_per_node=tasks,  # Only the tasks are counted with these two:
        gpus_per_task=1,
        auto_set_gpu=False,  # SLURM says which GPUs a task sees.
    )
    cluster = resolver.cluster_spec().as_dict()
    job, index = resolver.get_task_info()
    task = {"type": job, "index": index}
    return json.dumps({"cluster": cluster, "task": task})


def main():
    os.environ["TF_CONFIG"] = tf_config()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
