/* Devices, memory, packages and launches through the C interface: InterfaceTest DEVICE PACKAGE, where the package holds
 * the plan of tests/unit/runtime/AffineKernel.h: out = x * scale + shift. The null device runs nothing. */
#include <attn/c/Attn.h>

#include "tests/unit/c/Arguments.h"
#include "tests/unit/c/Expect.h"

enum { kColumns = 64 };

typedef struct Fixture {
  AttnDevice *device;
  AttnModule *module;
  AttnPlan *plan;
  AttnBuffer *x, *order, *out, *workspace;
} Fixture;

static Fixture openAll(const char *name, const char *package) {
  Fixture own;
  memset(&own, 0, sizeof own);
  AttnDeviceOptions options;
  memset(&options, 0, sizeof options);
  options.checks = ATTN_CHECKS_FULL;
  options.threads = 1;
  EXPECT(attnDeviceOpen(name, &options, &own.device) == ATTN_OK);
  EXPECT(attnModuleLoad(own.device, package, &own.module) == ATTN_OK);
  EXPECT(attnModulePlan(own.module, NULL, &own.plan) == ATTN_OK);
  EXPECT(attnBufferAllocate(own.device, kColumns * sizeof(float), &own.x) == ATTN_OK);
  EXPECT(attnBufferAllocate(own.device, 2 * sizeof(int32_t), &own.order) == ATTN_OK);
  EXPECT(attnBufferAllocate(own.device, kColumns * sizeof(float), &own.out) == ATTN_OK);
  EXPECT(attnBufferAllocate(own.device, 256, &own.workspace) == ATTN_OK);
  return own;
}

static void closeAll(Fixture *own) {
  attnDeviceClose(own->device); /* the rest keeps it open */
  attnModuleClose(own->module);
  attnBufferFree(own->x);
  attnBufferFree(own->order);
  attnBufferFree(own->out);
  attnBufferFree(own->workspace);
  attnPlanClose(own->plan);
}

static AttnArgument number(const char *name, AttnArgumentKind kind, int64_t integer, double real) {
  AttnArgument argument;
  memset(&argument, 0, sizeof argument);
  argument.name = name;
  argument.kind = kind;
  argument.integer = integer;
  argument.real = real;
  return argument;
}

static void testInfo(const Fixture *own, const char *name) {
  AttnDeviceInfo info;
  EXPECT(attnDeviceInfo(own->device, &info) == ATTN_OK);
  EXPECT(strcmp(info.name, name) == 0);
  EXPECT(strcmp(info.compile_target, "sm_80") == 0 && info.compute_capability == 80);
  EXPECT(info.shared_bytes_per_block > 48 * 1024 && info.multiprocessors > 0 && info.memory_bytes > 0);
  EXPECT(strcmp(attnPlanName(own->plan), "affine") == 0 && strcmp(attnPlanTarget(own->plan), "sm_80") == 0);

  AttnArgumentInfo argument;
  size_t count = attnPlanArgumentCount(own->plan), scalars = 0;
  for (size_t i = 0; i < count; ++i) {
    EXPECT(attnPlanArgument(own->plan, i, &argument) == ATTN_OK);
    scalars += argument.role == ATTN_SCALAR;
    if (strcmp(argument.name, "out") == 0)
      EXPECT(argument.role == ATTN_OUTPUT && argument.type == ATTN_F32 && argument.rank == 2 &&
             strcmp(argument.dims[1], "cols") == 0 && !argument.optional);
    if (strcmp(argument.name, "shift") == 0)
      EXPECT(argument.optional && argument.rank == 0);
  }
  EXPECT(count == 6 && scalars == 3);
  EXPECT_FAILURE(attnPlanArgument(own->plan, count, &argument), ATTN_INVALID_ARGUMENT, "index 6");
}

static void testLaunch(const Fixture *own, int runs) {
  static const int64_t shape[] = {1, kColumns}, pair[] = {2}, strides[] = {kColumns, 1};
  float x[kColumns], out[kColumns];
  const int32_t order[] = {0, kColumns};
  for (int i = 0; i < kColumns; ++i)
    x[i] = (float)i;
  EXPECT(attnBufferUpload(own->x, x, sizeof x, 0) == ATTN_OK);
  EXPECT(attnBufferUpload(own->order, order, sizeof order, 0) == ATTN_OK);
  EXPECT(attnBufferFill(own->out, 0xff) == ATTN_OK);

  AttnArgument arguments[7] = {tensor("x", ATTN_F32, own->x, 2, shape), tensor("order", ATTN_I32, own->order, 1, pair),
                               tensor("out", ATTN_F32, own->out, 2, shape), number("scale", ATTN_REAL, 0, 2.0),
                               number("shift", ATTN_INTEGER, 3, 0), number("negate", ATTN_BOOLEAN, 1, 0),
                               number("group", ATTN_INTEGER, 1, 0)};
  arguments[2].strides = strides;
  size_t bytes = 0;
  EXPECT(attnPlanWorkspaceBytes(own->plan, arguments, 7, 0, &bytes) == ATTN_OK);
  EXPECT(bytes > 0 && bytes <= 256);
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, NULL), ATTN_INVALID_ARGUMENT, "workspace: the plan needs");

  AttnLaunchOptions options;
  memset(&options, 0, sizeof options);
  options.workspace = attnBufferAddress(own->workspace);
  options.workspace_bytes = bytes;
  AttnEvent *begin, *end;
  double milliseconds = -1;
  EXPECT(attnEventCreate(own->device, &begin) == ATTN_OK && attnEventCreate(own->device, &end) == ATTN_OK);
  EXPECT(attnEventRecord(begin, NULL) == ATTN_OK);
  EXPECT(attnPlanLaunch(own->plan, NULL, arguments, 7, &options) == ATTN_OK);
  EXPECT(attnEventRecord(end, NULL) == ATTN_OK && attnEventSynchronize(end) == ATTN_OK);
  EXPECT(attnEventElapsed(begin, end, &milliseconds) == ATTN_OK && milliseconds >= 0);
  attnEventDestroy(begin);
  attnEventDestroy(end);
  EXPECT(attnDeviceSynchronize(own->device) == ATTN_OK);
  EXPECT(attnBufferDownload(own->out, out, sizeof out, 0) == ATTN_OK);
  for (int i = 0; i < kColumns && runs; ++i)
    EXPECT(out[i] == -(2.0f * x[i] + 3.0f));

  /* Each refusal names the argument; nothing is launched. */
  arguments[0].rank = 1;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "`x`");
  arguments[0].rank = 9;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "rank 9 is not in 0..8");
  arguments[0].rank = 2;
  arguments[0].type = 99;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "`x`: its type 99");
  arguments[0].type = ATTN_F32;
  arguments[0].kind = -1;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "`x`: its kind -1");
  arguments[0].kind = ATTN_TENSOR;
  arguments[0].shape = NULL;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "`x`: its shape is null");
  arguments[0].shape = shape;
  arguments[0].name = "y";
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "there is no argument `y`");
  arguments[0].name = NULL;
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, arguments, 7, &options), ATTN_INVALID_ARGUMENT, "has no name");
}

static void testManyArguments(const Fixture *own) {
  /* More than a launch keeps on the stack: they arrive all the same, and the twentieth is the one that is not known. */
  AttnArgument many[20];
  static const char *const names[] = {"scale", "shift", "group"};
  for (int i = 0; i < 20; ++i)
    many[i] = number(i < 3 ? names[i] : "more", ATTN_INTEGER, 1, 0);
  EXPECT_FAILURE(attnPlanLaunch(own->plan, NULL, many, 20, NULL), ATTN_INVALID_ARGUMENT, "`more`");
}

static void testRefusals(const Fixture *own, const char *package) {
  AttnDevice *device = NULL;
  AttnModule *module = NULL;
  AttnPlan *plan = NULL;
  AttnBuffer *buffer = NULL;
  AttnDeviceOptions options;
  memset(&options, 0, sizeof options);
  EXPECT_FAILURE(attnDeviceOpen("emulatr", NULL, &device), ATTN_NOT_FOUND, "unknown device `emulatr`");
  EXPECT_FAILURE(attnDeviceOpen(NULL, NULL, &device), ATTN_INVALID_ARGUMENT, "`name` is null");
  options.target = "sm_81";
  EXPECT_FAILURE(attnDeviceOpen("emulator", &options, &device), ATTN_NOT_FOUND, "unknown target `sm_81`");
  options.target = NULL;
  options.multiprocessors = 5;
  AttnDeviceInfo info;
  EXPECT(attnDeviceOpen("emulator", &options, &device) == ATTN_OK && attnDeviceInfo(device, &info) == ATTN_OK);
  EXPECT(info.multiprocessors == 5);
  attnDeviceClose(device);
  device = NULL;
  options.checks = 9;
  EXPECT_FAILURE(attnDeviceOpen("emulator", &options, &device), ATTN_INVALID_ARGUMENT, "`checks`");
  EXPECT(device == NULL);
  EXPECT_FAILURE(attnModuleLoad(own->device, "/nonexistent.pkg", &module), ATTN_NOT_FOUND, "/nonexistent.pkg");
  EXPECT_FAILURE(attnModuleParse(own->device, package, 4, &module), ATTN_CORRUPT, "");
  EXPECT_FAILURE(attnModuleFromPtx(own->device, "", "{", &module), ATTN_CORRUPT, "");
  EXPECT_FAILURE(attnModulePlan(own->module, "afine", &plan), ATTN_NOT_FOUND, "did you mean `affine`");
  EXPECT_FAILURE(attnModulePlan(NULL, NULL, &plan), ATTN_INVALID_ARGUMENT, "`module` is null");
  EXPECT_FAILURE(attnModuleCompile(own->device, "attention a { head_dim: 64 }", NULL, &module), ATTN_UNSUPPORTED,
                 "holds no compiler");
  EXPECT_FAILURE(attnBufferAllocate(NULL, 1, &buffer), ATTN_INVALID_ARGUMENT, "`device` is null");
  EXPECT_FAILURE(attnBufferUpload(own->x, package, 1, kColumns * sizeof(float)), ATTN_INVALID_ARGUMENT, "");
  EXPECT(module == NULL && plan == NULL && buffer == NULL);
}

int main(int count, char **arguments) {
  EXPECT(count == 3);
  EXPECT(attnInterfaceVersion() == ATTN_C_INTERFACE && attnHasCompiler() == 0);
  EXPECT(strlen(attnVersion()) > 0 && strlen(attnLastMessage()) == 0);
  attnDeviceClose(NULL);
  attnModuleClose(NULL);
  attnPlanClose(NULL);
  attnBufferFree(NULL);
  attnEventDestroy(NULL);

  Fixture own = openAll(arguments[1], arguments[2]);
  testInfo(&own, arguments[1]);
  testLaunch(&own, strcmp(arguments[1], "null") != 0);
  testManyArguments(&own);
  testRefusals(&own, arguments[2]);
  closeAll(&own);
  return 0;
}
