"""What Ray starts on each GPU: a process that becomes a ComfyUI without a server page, and does what this pack asks there.

Ray carries this class there as it stands (by value), since nothing of ours can be imported before a ComfyUI runs. So this
file uses Python's own library alone. Nothing listens: the host's server object is made, as nodes expect it, and never run.
"""

import asyncio
import getpass
import importlib
import os
import socket
import sys
import tempfile
import traceback

OURS = "HeadHunterWorkers"
INSIDE = ".headhunter.host.hunting.workers.inside"


class Worker:
    """folder: the ComfyUI to run. arguments: of its command line."""

    def __init__(self, folder, arguments):
        self.folder = folder
        self.arguments = arguments
        self.inside = None
        self.host = None
        self.streams = ()

    def place(self):
        """The machine and process this is in: known as soon as Ray found room."""
        return {"machine": socket.gethostname(), "process": os.getpid()}

    def show(self, request):
        """Who this is: what `inside.show` says, or {"refused": why}."""
        try:
            if self.inside is None:
                self.inside = self._start()
            return self.inside.show(self.host, request) | self.place()
        except BaseException as error:  # SystemExit too: a pack that ends the process is a reason like another
            traceback.print_exc()  # to Ray's log of this process
            return {"refused": f"{type(error).__name__}: {error}"} | self.place()

    def work(self, job):
        """What `inside.work` gives, or {"failed": why}."""
        try:
            if self.inside is None:  # Ray has started this process again, and nobody has asked who it is
                raise RuntimeError("it is asked to work before it has shown what it is")
            return self.inside.work(job)
        except BaseException as error:
            traceback.print_exc()
            return {"failed": f"{type(error).__name__}: {error}"}

    def _start(self):
        """Start the ComfyUI up to where it would begin to listen, and find this pack in it."""
        if not os.path.isfile(os.path.join(self.folder, "main.py")):
            raise FileNotFoundError(f"there is no ComfyUI in {self.folder}")
        self.streams = sys.stdout, sys.stderr  # the host wraps them; given up, Ray's would close what is beneath
        scratch = os.path.join(
            tempfile.gettempdir(), f"headhunter-workers-{getpass.getuser()}"
        )  # the host empties its own
        sys.path.insert(0, self.folder)
        sys.argv = ["main.py", *self.arguments, "--temp-directory", scratch, "--database-url", "sqlite:///:memory:"]
        options = importlib.import_module("comfy.options")
        options.enable_args_parsing()
        allocator = importlib.import_module("cuda_malloc")
        main = importlib.import_module("main")
        vars(main)["cuda_malloc"] = allocator  # the host imports it only as a script, and asks it all the same
        _, self.host, _ = main.start_comfyui(asyncio.new_event_loop())
        known = importlib.import_module("nodes").NODE_CLASS_MAPPINGS
        if OURS not in known:
            raise ImportError(f"HeadHunter, or one with workers, is not loaded in the ComfyUI in {self.folder}")
        pack = known[OURS].__module__.rpartition(".nodes.")[0]
        return importlib.import_module(INSIDE, pack)
