"""Trains the demo's models. From the repository's root, with COMFYUI_PATH set, in this order:

python -m demo.train vae --minutes 30     python -m demo.train sd3 --minutes 65     python -m demo.train eval
"""

import argparse
import logging

from . import data, evaluation, sd3, vae
from .parallel import run


def main() -> None:
    """Trains one of the two models (again: goes on from its last checkpoint), or writes the evaluation set."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["vae", "sd3", "eval"])
    parser.add_argument("--minutes", type=float, default=30, help="training time in all, earlier runs included")
    parser.add_argument("--processes", type=int, default=2, help="training processes of one thread each")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    data.fetch()
    if options.what == "eval":
        evaluation.export()
    else:
        run({"vae": vae.train, "sd3": sd3.train}[options.what], options.minutes, options.processes)


if __name__ == "__main__":
    main()
