"""attnc's runtime through its interface for C (include/attn/c/Attn.h), by ctypes: devices, memory, events, plans.

Handles close with their Python objects. A failed call raises AttnError with the library's own message.
"""
import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

INTERFACE = 2
TYPES = ("f64", "f32", "bf16", "f16", "e4m3", "e5m2", "i32", "i16", "i8", "bool", "bit")
BYTES = {"f64": 8, "f32": 4, "bf16": 2, "f16": 2, "e4m3": 1, "e5m2": 1, "i32": 4, "i16": 2, "i8": 1, "bool": 1}
ROLES = ("input", "output", "scalar")
_TENSOR, _INTEGER, _REAL, _BOOLEAN = range(4)


class AttnError(RuntimeError):
    """A refusal or failure, in the library's words."""


class DeviceOptions(ctypes.Structure):
    _fields_ = [("target", c_char_p), ("multiprocessors", c_uint32), ("checks", c_int32), ("completion", c_int32),
                ("seed", c_uint64), ("threads", c_uint32)]


class DeviceInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("description", c_char_p), ("compile_target", c_char_p),
                ("compute_capability", c_uint32), ("multiprocessors", c_uint32), ("shared_bytes_per_block", c_uint32),
                ("memory_bytes", c_uint64), ("l2_bytes", c_uint64), ("clock_mhz", c_uint32)]


class ArgumentInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("role", c_int32), ("type", c_int32), ("rank", c_int32),
                ("dims", POINTER(c_char_p)), ("optional", c_int32)]


class Argument(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_int32), ("type", c_int32), ("address", c_uint64), ("rank", c_int32),
                ("shape", POINTER(c_int64)), ("strides", POINTER(c_int64)), ("integer", c_int64), ("real", c_double)]


class LaunchOptions(ctypes.Structure):
    _fields_ = [("workspace", c_uint64), ("workspace_bytes", c_size_t), ("skip_value_checks", c_int32),
                ("splits", c_uint32)]


_FUNCTIONS = {
    "attnInterfaceVersion": (c_int32,),
    "attnVersion": (c_char_p,),
    "attnLastMessage": (c_char_p,),
    "attnDeviceOpen": (c_int32, c_char_p, POINTER(DeviceOptions), POINTER(c_void_p)),
    "attnDeviceClose": (None, c_void_p),
    "attnDeviceInfo": (c_int32, c_void_p, POINTER(DeviceInfo)),
    "attnDeviceSynchronize": (c_int32, c_void_p),
    "attnBufferAllocate": (c_int32, c_void_p, c_size_t, POINTER(c_void_p)),
    "attnBufferFree": (None, c_void_p),
    "attnBufferAddress": (c_uint64, c_void_p),
    "attnBufferUpload": (c_int32, c_void_p, c_void_p, c_size_t, c_size_t),
    "attnBufferDownload": (c_int32, c_void_p, c_void_p, c_size_t, c_size_t),
    "attnBufferFill": (c_int32, c_void_p, c_uint8),
    "attnEventCreate": (c_int32, c_void_p, POINTER(c_void_p)),
    "attnEventDestroy": (None, c_void_p),
    "attnEventRecord": (c_int32, c_void_p, c_void_p),
    "attnEventSynchronize": (c_int32, c_void_p),
    "attnEventElapsed": (c_int32, c_void_p, c_void_p, POINTER(c_double)),
    "attnModuleLoad": (c_int32, c_void_p, c_char_p, POINTER(c_void_p)),
    "attnModuleClose": (None, c_void_p),
    "attnModulePlan": (c_int32, c_void_p, c_char_p, POINTER(c_void_p)),
    "attnPlanClose": (None, c_void_p),
    "attnPlanName": (c_char_p, c_void_p),
    "attnPlanTarget": (c_char_p, c_void_p),
    "attnPlanArgumentCount": (c_size_t, c_void_p),
    "attnPlanArgument": (c_int32, c_void_p, c_size_t, POINTER(ArgumentInfo)),
    "attnPlanWorkspaceBytes": (c_int32, c_void_p, POINTER(Argument), c_size_t, c_uint32, POINTER(c_size_t)),
    "attnPlanLaunch": (c_int32, c_void_p, c_void_p, POINTER(Argument), c_size_t, POINTER(LaunchOptions)),
}


class Library:
    """libattn_c.so at `path`."""

    def __init__(self, path):
        try:
            self.functions = ctypes.CDLL(str(path))
        except OSError as error:
            raise AttnError(f"{path}: {error}") from None
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self.functions, name)
            function.restype, function.argtypes = result, arguments
        found = self.functions.attnInterfaceVersion()
        if found != INTERFACE:
            raise AttnError(f"{path}: its interface is number {found}, this program knows number {INTERFACE}")

    def call(self, name, *arguments):
        if getattr(self.functions, name)(*arguments) != 0:
            raise AttnError(self.functions.attnLastMessage().decode())

    def version(self):
        return self.functions.attnVersion().decode()

    def open(self, name, target=None, threads=0):
        """A device by name; `target` and `threads` are the virtual GPU's."""
        options = DeviceOptions(target=target.encode() if target else None, threads=threads)
        handle = c_void_p()
        self.call("attnDeviceOpen", name.encode(), byref(options), byref(handle))
        return Device(self, handle)


class _Handle:
    close_function = None

    def __init__(self, library, handle):
        self.library, self.handle = library, handle

    def __del__(self):
        if self.handle:
            getattr(self.library.functions, self.close_function)(self.handle)
            self.handle = None


class Device(_Handle):
    close_function = "attnDeviceClose"

    def info(self):
        info = DeviceInfo()
        self.library.call("attnDeviceInfo", self.handle, byref(info))
        return {name: value.decode() if isinstance(value := getattr(info, name), bytes) else value
                for name, _ in DeviceInfo._fields_}

    def synchronize(self):
        self.library.call("attnDeviceSynchronize", self.handle)

    def allocate(self, count):
        handle = c_void_p()
        self.library.call("attnBufferAllocate", self.handle, count, byref(handle))
        return Buffer(self.library, handle, count)

    def event(self):
        handle = c_void_p()
        self.library.call("attnEventCreate", self.handle, byref(handle))
        return Event(self.library, handle)

    def load(self, package):
        """The only plan of a package file."""
        module, plan = c_void_p(), c_void_p()
        self.library.call("attnModuleLoad", self.handle, str(package).encode(), byref(module))
        try:
            self.library.call("attnModulePlan", module, None, byref(plan))
        finally:
            self.library.functions.attnModuleClose(module)
        return Plan(self.library, plan)


class Buffer(_Handle):
    """Device memory of `size` bytes."""

    close_function = "attnBufferFree"

    def __init__(self, library, handle, size):
        super().__init__(library, handle)
        self.size, self.address = size, library.functions.attnBufferAddress(handle)

    def upload(self, data):
        """From bytes, or from the host's memory at an address (an int): all of the buffer."""
        if not isinstance(data, int):
            if len(data) != self.size:
                raise ValueError(f"{len(data)} bytes for a buffer of {self.size}")
            data = ctypes.cast((c_uint8 * self.size).from_buffer(bytearray(data)), c_void_p)
        self.library.call("attnBufferUpload", self.handle, data, self.size, 0)

    def download(self):
        data = bytearray(self.size)
        place = (c_uint8 * self.size).from_buffer(data)
        self.library.call("attnBufferDownload", self.handle, ctypes.cast(place, c_void_p), self.size, 0)
        return data

    def fill(self, value):
        self.library.call("attnBufferFill", self.handle, value)


class Event(_Handle):
    close_function = "attnEventDestroy"

    def record(self, stream=None):
        self.library.call("attnEventRecord", self.handle, stream)

    def synchronize(self):
        self.library.call("attnEventSynchronize", self.handle)

    def milliseconds_since(self, begin):
        elapsed = c_double()
        self.library.call("attnEventElapsed", begin.handle, self.handle, byref(elapsed))
        return elapsed.value


class Plan(_Handle):
    close_function = "attnPlanClose"

    def name(self):
        return self.library.functions.attnPlanName(self.handle).decode()

    def target(self):
        return self.library.functions.attnPlanTarget(self.handle).decode()

    def arguments(self):
        """Name, role, element type and size expressions of each."""
        info, out = ArgumentInfo(), []
        for index in range(self.library.functions.attnPlanArgumentCount(self.handle)):
            self.library.call("attnPlanArgument", self.handle, index, byref(info))
            out.append({"name": info.name.decode(), "role": ROLES[info.role], "type": TYPES[info.type],
                        "dims": [info.dims[i].decode() for i in range(info.rank)], "optional": bool(info.optional)})
        return out

    def bind(self, tensors, numbers=None):
        """Arguments for launches: tensors are (address, type, shape[, strides in elements])."""
        return BoundArguments(self, tensors, numbers or {})


class BoundArguments:
    """Arguments of one launch, as the interface takes them, made once for many launches."""

    def __init__(self, plan, tensors, numbers):
        self.plan, self.keep = plan, []
        items = [self._tensor(name, *tensor) for name, tensor in tensors.items()]
        items += [self._number(name, value) for name, value in numbers.items()]
        self.items = (Argument * len(items))(*items)
        self.options = LaunchOptions()

    def _dims(self, values):
        dims = (c_int64 * max(1, len(values)))(*values)
        self.keep.append(dims)
        return ctypes.cast(dims, POINTER(c_int64))

    def _tensor(self, name, address, element, shape, strides=None):
        return Argument(name=name.encode(), kind=_TENSOR, type=TYPES.index(element), address=address, rank=len(shape),
                        shape=self._dims(shape), strides=self._dims(strides) if strides is not None else None)

    @staticmethod
    def _number(name, value):
        if isinstance(value, bool):
            return Argument(name=name.encode(), kind=_BOOLEAN, integer=value)
        if isinstance(value, int):
            return Argument(name=name.encode(), kind=_INTEGER, integer=value)
        return Argument(name=name.encode(), kind=_REAL, real=value)

    def workspace_bytes(self):
        count = c_size_t()
        self.plan.library.call("attnPlanWorkspaceBytes", self.plan.handle, self.items, len(self.items), self.options.splits, byref(count))
        return count.value

    def set_workspace(self, address, count):
        self.options.workspace, self.options.workspace_bytes = address, count

    def launch(self, stream=None):
        self.plan.library.call("attnPlanLaunch", self.plan.handle, stream, self.items, len(self.items),
                               byref(self.options))
