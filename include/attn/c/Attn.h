/* The runtime for C and for whatever calls C: devices, buffers, events, modules and plans, as in attn/Attn.h.
 *
 * Two shared libraries hold these functions: `libattn_c.so`, which needs neither compiler nor LLVM, and
 * `libattn_c_jit.so`, in which attnModuleCompile works too. A program uses one of them.
 *
 * Every function that can fail returns an AttnStatus; attnLastMessage() then says in words what was wrong. Handles are
 * owned by the caller, who gives each back to its Close function once; null is allowed there. A buffer, event, module
 * or plan keeps its device open, a plan its module. Handles may be used from several threads, but not while one is
 * being closed.
 *
 *     AttnDevice *device; AttnModule *module; AttnPlan *plan;
 *     if (attnDeviceOpen("cuda:0", NULL, &device) || attnModuleLoad(device, "attention.pkg", &module) ||
 *         attnModulePlan(module, NULL, &plan) || attnPlanLaunch(plan, stream, arguments, 5, NULL))
 *       fprintf(stderr, "%s\n", attnLastMessage());
 */
#ifndef ATTN_C_ATTN_H
#define ATTN_C_ATTN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTN_C_FUNCTION __attribute__((visibility("default")))

/* Grows when a function or a structure here changes so that callers must be compiled again. */
#define ATTN_C_INTERFACE 2

/* As attn::StatusCode. */
typedef enum AttnStatus {
  ATTN_OK = 0,
  ATTN_INVALID_ARGUMENT, /* the caller's value breaks a stated limit; nothing was done */
  ATTN_NOT_FOUND,        /* no such file, plan, device or name */
  ATTN_UNSUPPORTED,      /* well-formed, but this device, target, version or library cannot do it */
  ATTN_OUT_OF_MEMORY,
  ATTN_CORRUPT,          /* bytes that are not what they claim to be */
  ATTN_IO_ERROR,
  ATTN_COMPILE_ERROR,    /* a specification or PTX was rejected; the message holds the diagnostics, with their places */
  ATTN_DEVICE_ERROR,     /* the device reported a failure, or the virtual GPU a finding */
  ATTN_INTERNAL          /* a mistake of ours */
} AttnStatus;

/* As attn::ElementType. Rows of ATTN_BIT are packed into 32-bit words, the lowest bit first. */
typedef enum AttnElementType {
  ATTN_F64, ATTN_F32, ATTN_BF16, ATTN_F16, ATTN_E4M3, ATTN_E5M2, ATTN_I32, ATTN_I16, ATTN_I8, ATTN_BOOL, ATTN_BIT
} AttnElementType;

typedef struct AttnDevice AttnDevice;
typedef struct AttnBuffer AttnBuffer;
typedef struct AttnEvent AttnEvent;
typedef struct AttnModule AttnModule;
typedef struct AttnPlan AttnPlan;

/* ATTN_C_INTERFACE and the version of the library that runs. */
ATTN_C_FUNCTION int32_t attnInterfaceVersion(void);
ATTN_C_FUNCTION const char *attnVersion(void);
/* 1 where attnModuleCompile works. */
ATTN_C_FUNCTION int32_t attnHasCompiler(void);
/* Of the last call on this thread that failed; valid until the next one fails. Never null. */
ATTN_C_FUNCTION const char *attnLastMessage(void);

/*===-- Devices ---------------------------------------------------------------------------------------------------===*/

typedef enum AttnChecks { ATTN_CHECKS_DEFAULT, ATTN_CHECKS_OFF, ATTN_CHECKS_MEMORY, ATTN_CHECKS_FULL } AttnChecks;
typedef enum AttnCompletion {
  ATTN_COMPLETION_DEFAULT, ATTN_COMPLETION_EAGER, ATTN_COMPLETION_LAZY, ATTN_COMPLETION_RANDOM
} AttnCompletion;

/* Of the virtual GPU (the first two: also of the null device). A member left 0 comes from the environment
 * (docs/runtime.md), else from the default named there. */
typedef struct AttnDeviceOptions {
  const char *target;        /* whose limits the device takes: "sm_90a" */
  uint32_t multiprocessors;
  int32_t checks;            /* AttnChecks */
  int32_t completion;        /* AttnCompletion: when asynchronous copies land */
  uint64_t seed;             /* of ATTN_COMPLETION_RANDOM */
  uint32_t threads;          /* of the CPU */
} AttnDeviceOptions;

typedef struct AttnDeviceInfo {
  const char *name;           /* "cuda:0"; the strings live as long as the device */
  const char *description;    /* "NVIDIA H200, compute capability 9.0" */
  const char *compile_target; /* what to compile for: "sm_90a" */
  uint32_t compute_capability; /* times ten */
  uint32_t multiprocessors;
  uint32_t shared_bytes_per_block;
  uint64_t memory_bytes;
  uint64_t l2_bytes;          /* 0 where it is not known */
  uint32_t clock_mhz;         /* highest clock of the multiprocessors; 0 where it is not known */
} AttnDeviceInfo;

/* "auto", "cuda:N", "emulator" or "null", as attn::Device::open. On a GPU the device's primary context is used, which
 * other libraries of the process share: their pointers and streams serve here. `options` may be null. */
ATTN_C_FUNCTION AttnStatus attnDeviceOpen(const char *name, const AttnDeviceOptions *options, AttnDevice **device);
ATTN_C_FUNCTION void attnDeviceClose(AttnDevice *device);
ATTN_C_FUNCTION AttnStatus attnDeviceInfo(const AttnDevice *device, AttnDeviceInfo *info);
/* Waits for all work on the device; failures of that work come out here. */
ATTN_C_FUNCTION AttnStatus attnDeviceSynchronize(const AttnDevice *device);

/* Device memory for programs that have no other: that of the virtual GPU is not the host's. */
ATTN_C_FUNCTION AttnStatus attnBufferAllocate(const AttnDevice *device, size_t bytes, AttnBuffer **buffer);
/* Not before the work that uses it is done. */
ATTN_C_FUNCTION void attnBufferFree(AttnBuffer *buffer);
ATTN_C_FUNCTION uint64_t attnBufferAddress(const AttnBuffer *buffer);
/* Return when the copy is done. */
ATTN_C_FUNCTION AttnStatus attnBufferUpload(const AttnBuffer *buffer, const void *source, size_t bytes, size_t offset);
ATTN_C_FUNCTION AttnStatus attnBufferDownload(const AttnBuffer *buffer, void *destination, size_t bytes, size_t offset);
ATTN_C_FUNCTION AttnStatus attnBufferFill(const AttnBuffer *buffer, uint8_t value);

/* Points in a stream. `stream` is a CUstream of the caller's, here and below; null: the device's default stream. */
ATTN_C_FUNCTION AttnStatus attnEventCreate(const AttnDevice *device, AttnEvent **event);
ATTN_C_FUNCTION void attnEventDestroy(AttnEvent *event);
ATTN_C_FUNCTION AttnStatus attnEventRecord(const AttnEvent *event, void *stream);
ATTN_C_FUNCTION AttnStatus attnEventSynchronize(const AttnEvent *event);
ATTN_C_FUNCTION AttnStatus attnEventElapsed(const AttnEvent *begin, const AttnEvent *end, double *milliseconds);

/*===-- Modules and plans -----------------------------------------------------------------------------------------===*/

/* A package file, or its bytes, as `attnc compile --emit=package` writes them. */
ATTN_C_FUNCTION AttnStatus attnModuleLoad(const AttnDevice *device, const char *path, AttnModule **module);
ATTN_C_FUNCTION AttnStatus attnModuleParse(const AttnDevice *device, const void *package, size_t bytes,
                                           AttnModule **module);
/* PTX and its manifest, as `attnc compile --emit=ptx` writes them; both end in 0. */
ATTN_C_FUNCTION AttnStatus attnModuleFromPtx(const AttnDevice *device, const char *ptx, const char *manifest,
                                             AttnModule **module);

/* As attn::jit::Options; a member left 0 has the default named there. */
typedef struct AttnCompileOptions {
  const char *file_name;      /* for messages and relative imports */
  const char *attention;      /* which one of the text */
  const char *target;         /* what suits the device */
  const char *schedule;       /* "block_m=128"; "split=1": kernels for few rows too, whose keys may be split */
  const char *const *defines; /* "name=value" each */
  size_t define_count;
  int32_t checked;
  int32_t no_disk_cache;
  int32_t tf32;
  int32_t approximate_tanh;
} AttnCompileOptions;

/* From the text of a specification; ATTN_UNSUPPORTED in the library without a compiler. `options` may be null. */
ATTN_C_FUNCTION AttnStatus attnModuleCompile(const AttnDevice *device, const char *text,
                                             const AttnCompileOptions *options, AttnModule **module);
ATTN_C_FUNCTION void attnModuleClose(AttnModule *module);

/* By name; null: the only one. The first call for a plan brings its code onto the device. */
ATTN_C_FUNCTION AttnStatus attnModulePlan(const AttnModule *module, const char *name, AttnPlan **plan);
ATTN_C_FUNCTION void attnPlanClose(AttnPlan *plan);
/* "" for null. */
ATTN_C_FUNCTION const char *attnPlanName(const AttnPlan *plan);
ATTN_C_FUNCTION const char *attnPlanTarget(const AttnPlan *plan);

typedef enum AttnRole { ATTN_INPUT, ATTN_OUTPUT, ATTN_SCALAR } AttnRole;
/* What a plan takes, for programs that find out. The strings live as long as the plan. */
typedef struct AttnArgumentInfo {
  const char *name;
  AttnRole role;
  AttnElementType type;
  int32_t rank;            /* 0 for scalars */
  const char *const *dims; /* `rank` size expressions: "kv_len" */
  int32_t optional;        /* a scalar with a default */
} AttnArgumentInfo;
ATTN_C_FUNCTION size_t attnPlanArgumentCount(const AttnPlan *plan);
ATTN_C_FUNCTION AttnStatus attnPlanArgument(const AttnPlan *plan, size_t index, AttnArgumentInfo *info);

typedef enum AttnArgumentKind { ATTN_TENSOR, ATTN_INTEGER, ATTN_REAL, ATTN_BOOLEAN } AttnArgumentKind;
/* A tensor, or a number for a scalar parameter or for an extent that no tensor's shape gives. */
typedef struct AttnArgument {
  const char *name;
  int32_t kind;           /* AttnArgumentKind */
  int32_t type;           /* AttnElementType of a tensor; as all up to `strides` */
  uint64_t address;       /* of device memory */
  int32_t rank;
  const int64_t *shape;
  const int64_t *strides; /* in elements (bit: in words); null: contiguous, the last dimension fastest */
  int64_t integer;        /* of ATTN_INTEGER and ATTN_BOOLEAN */
  double real;
} AttnArgument;

typedef struct AttnLaunchOptions {
  uint64_t workspace; /* attnPlanWorkspaceBytes of the caller's memory, aligned to 256, used until the launch is done */
  size_t workspace_bytes;
  int32_t skip_value_checks; /* of `in` and `ascending`, which are checked where the host sees the memory */
  /* Of plans whose keys may be split among blocks (compiled with schedule "split=1"): into how many shares, 1 to 1024. 0: as
   * the lengths and the device suggest. Other plans run as they are. */
  uint32_t splits;
} AttnLaunchOptions;

/* Tensors count by their shapes; addresses may be 0. `splits` as in AttnLaunchOptions. */
ATTN_C_FUNCTION AttnStatus attnPlanWorkspaceBytes(const AttnPlan *plan, const AttnArgument *arguments, size_t count,
                                                  uint32_t splits, size_t *bytes);
/* Checks every argument, then queues the plan's kernels on `stream`. Neither allocates device memory nor waits, so it
 * may be captured into a CUDA graph. `options` may be null. */
ATTN_C_FUNCTION AttnStatus attnPlanLaunch(const AttnPlan *plan, void *stream, const AttnArgument *arguments,
                                          size_t count, const AttnLaunchOptions *options);

#ifdef __cplusplus
}
#endif
#endif
