"""How kernels are started, handed to readers, listened to and ended; not what runs in them."""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import authenticated
from traitlets import Float, List, Unicode, default
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from cacnb.serving.owners import KernelOwners

#: A page's pulse: it comes as long as the page is open and says nothing of its reader.
_PULSES = (b'"type":"ping"', b'"type": "ping"')


class ThisPython(KernelSpecManager):  # type: ignore[misc]
    """Only the Python that runs the server, whatever kernels the account has installed."""

    kernel_dirs = List(Unicode())

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []


class ReadersKernels(AsyncMappingKernelManager):  # type: ignore[misc]
    """One kernel a reader; it is ended when the page is gone or the reader is.

    A page's pulse is no activity: a page left open overnight would keep its kernel for ever.
    A kernel of the pool has no reader yet and is kept.
    """

    abandoned_s = Float(900.0, config=True, help="Seconds to keep a kernel without a page.")
    idle_s = Float(28_800.0, config=True, help="Seconds to keep a kernel without a reader's act.")

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:
        """Start a kernel that knows the app's study and options."""
        kwargs["env"] = {**kwargs.get("env", {}), **self.parent.kernel_environment}
        kwargs["env"].pop("CACNB_TOKEN", None)
        kernel: str = await super().start_kernel(*args, **kwargs)
        return kernel

    async def shutdown_kernel(self, kernel_id: str, *args: Any, **kwargs: Any) -> None:
        """End a kernel and forget whose it was; one without a reader has nothing to finish."""
        if self.parent.owners.idle_s(kernel_id) is None:
            args, kwargs = (), {**kwargs, "now": True}
        self.parent.owners.forget(kernel_id)
        await super().shutdown_kernel(kernel_id, *args, **kwargs)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that died, or whose page or reader has been away too long."""
        idle_s = self.parent.owners.idle_s(kernel_id)
        if idle_s is None:
            return
        connected = self._kernel_connections.get(kernel_id, 0) > 0
        alive = await self._kernels[kernel_id].is_alive()
        if not alive or idle_s > (self.idle_s if connected else self.abandoned_s):
            why = "its reader was idle" if connected else "its page was gone"
            self.log.warning("Ended kernel %s: %s", kernel_id, why if alive else "it had died")
            await self.shutdown_kernel(kernel_id)


class HandingOver:
    """The kernels as one request sees them: what it is handed belongs to its reader.

    The address that was asked for stays out of the pool's next kernel, which is another reader's.
    """

    def __init__(self, kernels: Any, owners: KernelOwners, reader: str) -> None:
        self._kernels = kernels
        self._owners = owners
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    async def get_rendered_notebook(self, notebook_name: str, **_: Any) -> Any:
        """Take a kernel that is ready from the pool."""
        ready = await self._kernels.get_rendered_notebook(notebook_name=notebook_name)
        self._owners.give(ready[2], self._reader)
        return ready

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel for this request alone."""
        kernel: str = await self._kernels.start_kernel(**kwargs)
        self._owners.give(kernel, self._reader)
        return kernel


class KernelModel(KernelHandler):  # type: ignore[misc]
    """Says that the reader's own kernel is there; it can be asked, not started or ended."""

    SUPPORTED_METHODS = ("GET", "HEAD")


class KernelChannels(VoilaKernelWebsocketHandler):  # type: ignore[misc]
    """The wire between a page and its kernel."""

    def on_message(self, message: str | bytes) -> None:
        """Pass a message on; anything but the page's pulse is its reader's act."""
        data = message.encode() if isinstance(message, str) else message
        if not any(pulse in data for pulse in _PULSES):
            self.settings["owners"].seen(self.kernel_id)
        super().on_message(message)


class LeavingPage(APIHandler):  # type: ignore[misc]
    """A page that is closed ends its own kernel at once."""

    auth_resource = "kernels"

    @authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def post(self, kernel_id: str) -> None:
        """End the kernel."""
        await self.kernel_manager.shutdown_kernel(kernel_id)
        self.set_status(204)
