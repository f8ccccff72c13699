"""Who is timed: attnc through its interface for C, and the attention functions that torch brings or that are installed.

A contender is made for a row and a group of inputs, and offers
    call(index)      queues one forward pass on the inputs of that set, on torch's current stream
    output(index)    the result of the last such call, [batch, length, heads, head_dim]
    compile_s        seconds it took to make it ready, first call included, or None
Making one raises Skip where the peer has no such variant, with the reason.
"""
import contextlib
import functools
import importlib
import time

from . import variants


class Skip(Exception):
    """The peer does not offer this."""


class Attnc:
    """Our kernel, on torch's tensors where they lie on the device, else on copies in buffers of its own."""

    name = "attnc"

    def __init__(self, plan, inputs, device, compile_s=None):
        self.plan, self.inputs, self.compile_s = plan, inputs, compile_s
        self.torch = getattr(inputs, "torch", None)
        self.on_device = self.torch is not None and inputs.place == "cuda"
        self.device, self.keep = device, []
        row = inputs.row
        self.outputs, self.launches = [], []
        documents = {} if inputs.documents is None or len(inputs.documents) == 0 else \
            {"document": (self._address(inputs.documents), "i32", (row.batch, row.length))}
        for tensors in inputs.sets:
            out, address = self._output(tensors["query"])
            arguments = {name: (self._address(tensor), row.dtype, row.shape()) for name, tensor in tensors.items()}
            self.launches.append(plan.bind({**arguments, **documents, "out": (address, row.dtype, row.shape())}))
            self.outputs.append(out)
        for launch in self.launches:
            count = launch.workspace_bytes()
            if count:
                launch.set_workspace(self._scratch(count), count)

    def _keep(self, thing):
        self.keep.append(thing)
        return thing

    def _address(self, tensor):
        """Where the device finds it: [batch, length, …] contiguous."""
        if self.on_device:
            return self._keep(tensor.contiguous()).data_ptr()
        if self.torch is None:
            buffer = self._keep(self.device.allocate(len(tensor)))
            buffer.upload(tensor)
        else:
            tensor = tensor.contiguous()
            buffer = self._keep(self.device.allocate(tensor.numel() * tensor.element_size()))
            buffer.upload(tensor.data_ptr())
        return buffer.address

    def _output(self, like):
        """Poisoned, so that what a kernel leaves unwritten is seen."""
        if self.on_device:
            out = self.torch.full_like(like, float("nan"))
            return out, out.data_ptr()
        count = len(like) if self.torch is None else like.numel() * like.element_size()
        buffer = self.device.allocate(count)
        buffer.fill(0xFF)
        return buffer, buffer.address

    def _scratch(self, count):
        if self.on_device:
            return self._keep(self.torch.empty(count, dtype=self.torch.uint8, device="cuda")).data_ptr()
        return self._keep(self.device.allocate(count)).address

    def call(self, index):
        stream = self.torch.cuda.current_stream().cuda_stream if self.on_device else None
        self.launches[index].launch(stream)

    def output(self, index):
        if self.on_device:
            return self.outputs[index]
        data = self.outputs[index].download()
        if self.torch is None:
            return data
        like = self.inputs.sets[index]["query"]
        return self.torch.frombuffer(data, dtype=like.dtype).reshape(like.shape)


class Peer:
    """One on torch's tensors. Subclasses give `run`, from a set's tensors to the result."""

    module = ""         # that must be importable, beside torch
    swapped = False     # whether `run` takes and gives [batch, heads, length, head_dim]

    def __init__(self, inputs):
        self.inputs, self.torch, self.row = inputs, inputs.torch, inputs.row
        self.results = [None] * len(inputs.sets)
        self.arguments = [tuple(tensors[name].transpose(1, 2) if self.swapped else tensors[name]
                                for name in ("query", "key", "value")) for tensors in inputs.sets]
        begin = time.perf_counter()
        self.prepare()
        self.call(0)
        if inputs.place == "cuda":
            self.torch.cuda.synchronize()
        self.compile_s = time.perf_counter() - begin

    def prepare(self):
        pass

    def call(self, index):
        self.results[index] = self.run(*self.arguments[index])

    def output(self, index):
        result = self.results[index]
        return result.transpose(1, 2) if self.swapped else result

    def need(self, *masks):
        if self.row.mask not in masks:
            raise Skip(f"has no {self.row.mask}")


class Sdpa(Peer):
    """torch's scaled_dot_product_attention, held to one back end; None: the one on the CPU, for trials without a GPU."""

    swapped, backend = True, None

    def prepare(self):
        self.need("full", "causal")      # others only as a tensor of length × length

    def held(self):
        if not self.backend:
            return contextlib.nullcontext()
        attention = importlib.import_module("torch.nn.attention")
        return attention.sdpa_kernel(getattr(attention.SDPBackend, self.backend))

    def run(self, query, key, value):
        with self.held():
            return self.torch.nn.functional.scaled_dot_product_attention(query, key, value,
                                                                         is_causal=self.row.mask == "causal")


class SdpaCudnn(Sdpa):
    name, backend = "sdpa-cudnn", "CUDNN_ATTENTION"


class SdpaFlash(Sdpa):
    name, backend = "sdpa-flash", "FLASH_ATTENTION"


class SdpaCpu(Sdpa):
    name = "sdpa-cpu"


class Flex(Peer):
    """torch's FlexAttention, with the same mask and score as functions, compiled for the row's sizes."""

    name, swapped, compiled = "flex", True, True

    def prepare(self):
        module = importlib.import_module("torch.nn.attention.flex_attention")
        row, torch, documents = self.row, self.torch, self.inputs.documents
        variant, window, heads = row.mask, row.window(), row.heads     # plain values, which compile as constants

        def mask(b, h, q_idx, kv_idx):
            if documents is None:
                return variants.is_visible(variant, window, q_idx, kv_idx)
            return variants.is_visible(variant, window, q_idx, kv_idx, documents[b, q_idx], documents[b, kv_idx])

        def score(value, b, h, q_idx, kv_idx):
            return variants.score(variant, value, q_idx, kv_idx, torch.exp2(-8.0 / heads * (h + 1)), torch.tanh)

        function = module.flex_attention
        if self.compiled:
            # Each row is compiled for itself: the limit on that would leave later rows to a slow path, silently.
            for limit in ("recompile_limit", "cache_size_limit", "accumulated_recompile_limit",
                          "accumulated_cache_size_limit"):
                if hasattr(torch._dynamo.config, limit):
                    setattr(torch._dynamo.config, limit, 100000)
            function = torch.compile(function, dynamic=False, fullgraph=True)
        arguments = {}
        if row.mask != "full":
            arguments["block_mask"] = module.create_block_mask(
                mask, row.batch if documents is not None else None, None, row.length, row.length,
                device=self.inputs.place, **({"_compile": True} if self.compiled else {}))
        if row.mask in ("alibi", "softcap"):
            arguments["score_mod"] = score
        self.run = functools.partial(function, **arguments)


class FlexEager(Flex):
    """The same without compilation, for trials without a GPU."""

    name, compiled = "flex-eager", False


class Flash(Peer):
    """What the flash_attn packages share: [batch, length, heads, head_dim], documents by their prefix sums."""

    masks = ()

    def prepare(self):
        self.need(*self.masks)
        module = importlib.import_module(self.module)
        row, torch = self.row, self.torch
        self.options = {"causal": row.mask != "full"}
        if row.mask == "window":
            self.options["window_size"] = (row.window() - 1, 0)
        if row.mask == "softcap":
            self.options["softcap"] = variants.SOFTCAP
        if row.mask == "alibi":
            heads = torch.arange(row.heads, device=self.inputs.place, dtype=torch.float32)
            self.options["alibi_slopes"] = variants.slope(heads, row.heads)
        self.attention = module.flash_attn_varlen_func if row.mask == "document" else module.flash_attn_func
        if row.mask == "document":
            lengths = [count for sequence in variants.document_lengths(row) for count in sequence]
            sums = torch.tensor([0, *lengths], device=self.inputs.place).cumsum(0).to(torch.int32)
            self.options |= {"cu_seqlens_q": sums, "cu_seqlens_k": sums, "max_seqlen_q": max(lengths),
                             "max_seqlen_k": max(lengths)}

    def run(self, query, key, value):
        if self.row.mask == "document":
            query, key, value = (tensor.flatten(0, 1) for tensor in (query, key, value))
        result = self.attention(query, key, value, **self.options)
        result = result[0] if isinstance(result, tuple) else result
        return result.reshape(self.row.shape())


class Flash2(Flash):
    name, module = "flash2", "flash_attn"
    masks = ("full", "causal", "window", "alibi", "softcap", "document")


class Flash3(Flash):
    name, module = "flash3", "flash_attn_interface"
    masks = ("full", "causal", "window", "softcap", "document")


class Flash4(Flash):
    name, module = "flash4", "flash_attn.cute"
    masks = ("full", "causal", "window", "softcap", "document")


class FlashInfer(Peer):
    """Its prefill over ragged tensors, planned once."""

    name = module = "flashinfer"

    def prepare(self):
        module = importlib.import_module(self.module)
        row, torch, place = self.row, self.torch, self.inputs.place
        lengths = [count for sequence in variants.document_lengths(row) for count in sequence] \
            if row.mask == "document" else [row.length] * row.batch
        sums = torch.tensor([0, *lengths], device=place).cumsum(0).to(torch.int32)
        workspace = torch.empty(256 << 20, dtype=torch.uint8, device=place)
        self.wrapper = module.BatchPrefillWithRaggedKVCacheWrapper(workspace, "NHD")
        options = {"window_left": row.window() - 1} if row.mask == "window" else {}
        if row.mask == "softcap":
            options["logits_soft_cap"] = variants.SOFTCAP
        if row.mask == "alibi":
            options["pos_encoding_mode"] = "ALIBI"
        self.wrapper.plan(sums, sums, row.heads, row.heads, row.head_dim, causal=row.mask != "full",
                          q_data_type=self.arguments[0][0].dtype, **options)

    def run(self, query, key, value):
        return self.wrapper.run(*(tensor.flatten(0, 1) for tensor in (query, key, value))).reshape(self.row.shape())


GPU_PEERS = (SdpaCudnn, SdpaFlash, Flex, Flash3, Flash4, Flash2, FlashInfer)
CPU_PEERS = (SdpaCpu, FlexEager)


def available(peers):
    """Those whose module is here, and of the others why not."""
    here, missing = [], {}
    for peer in peers:
        try:
            if peer.module:
                importlib.import_module(peer.module)
            here.append(peer)
        except Exception as error:       # a package may be there and still not load
            missing[peer.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return here, missing
