/* From the text of a specification to numbers, in C, on the virtual GPU. Values of 1 must give outputs of 1: the weights
 * of a row sum to 1. */
#include <attn/c/Attn.h>

#include "tests/unit/c/Arguments.h"
#include "tests/unit/c/Expect.h"

#include <math.h>

enum { kLength = 40, kHeads = 2, kDim = 64, kCount = kLength * kHeads * kDim };

static const uint16_t kOne = 0x3c00; /* of f16 */

static void testRun(const AttnDevice *device) {
  static const char *const defines[] = {"width=7"};
  static const int64_t shape[] = {1, kLength, kHeads, kDim}, lseShape[] = {1, kHeads, kLength};
  AttnCompileOptions options;
  memset(&options, 0, sizeof options);
  options.defines = defines;
  options.define_count = 1;
  options.no_disk_cache = 1;
  AttnModule *module;
  AttnPlan *plan;
  EXPECT(attnModuleCompile(device, "attention near_keys(width: i32) { head_dim: 64; dtype: f16; mask = window(width) }",
                           &options, &module) == ATTN_OK);
  EXPECT(attnModulePlan(module, "near_keys", &plan) == ATTN_OK);
  EXPECT(attnPlanArgumentCount(plan) == 5); /* `width` is a constant now */

  static uint16_t values[kCount], out[kCount];
  static float lse[kHeads * kLength];
  AttnBuffer *query, *value, *result, *sums;
  EXPECT(attnBufferAllocate(device, sizeof values, &query) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, sizeof values, &value) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, sizeof out, &result) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, sizeof lse, &sums) == ATTN_OK);
  EXPECT(attnBufferFill(query, 0) == ATTN_OK); /* all scores 0 */
  for (int i = 0; i < kCount; ++i)
    values[i] = kOne;
  EXPECT(attnBufferUpload(value, values, sizeof values, 0) == ATTN_OK);
  AttnArgument arguments[] = {tensor("query", ATTN_F16, query, 4, shape), tensor("key", ATTN_F16, query, 4, shape),
                              tensor("value", ATTN_F16, value, 4, shape), tensor("out", ATTN_F16, result, 4, shape),
                              tensor("lse", ATTN_F32, sums, 3, lseShape)};
  EXPECT(attnPlanLaunch(plan, NULL, arguments, 5, NULL) == ATTN_OK);
  EXPECT(attnBufferDownload(result, out, sizeof out, 0) == ATTN_OK);
  EXPECT(attnBufferDownload(sums, lse, sizeof lse, 0) == ATTN_OK);
  for (int i = 0; i < kCount; ++i)
    EXPECT(out[i] == kOne);
  for (int row = 0; row < kLength; ++row) /* a row sees itself and up to seven rows before it */
    EXPECT(fabs(lse[row] - log(row < 7 ? row + 1 : 8)) < 1e-5);

  attnBufferFree(query);
  attnBufferFree(value);
  attnBufferFree(result);
  attnBufferFree(sums);
  attnPlanClose(plan);
  attnModuleClose(module);
}

/* One row of queries by the kernels for few rows: with its keys in several shares it needs workspace, and gives the same. */
static void testSplits(const AttnDevice *device) {
  enum { kKeys = 300 };
  static const int64_t row[] = {1, 1, kHeads, kDim}, keys[] = {1, kKeys, kHeads, kDim}, lseShape[] = {1, kHeads, 1};
  AttnCompileOptions options;
  memset(&options, 0, sizeof options);
  options.schedule = "split=1";
  options.no_disk_cache = 1;
  AttnModule *module;
  AttnPlan *plan;
  EXPECT(attnModuleCompile(device, "attention decode { head_dim: 64; dtype: f16; mask = causal() }", &options, &module) == ATTN_OK);
  EXPECT(attnModulePlan(module, "decode", &plan) == ATTN_OK);
  EXPECT(attnPlanArgumentCount(plan) == 5); /* the number of shares is no argument */

  static uint16_t values[kKeys * kHeads * kDim], out[kHeads * kDim];
  AttnBuffer *query, *value, *result, *sums, *workspace;
  EXPECT(attnBufferAllocate(device, sizeof out, &query) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, sizeof values, &value) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, sizeof out, &result) == ATTN_OK);
  EXPECT(attnBufferAllocate(device, kHeads * sizeof(float), &sums) == ATTN_OK);
  EXPECT(attnBufferFill(query, 0) == ATTN_OK);
  for (int i = 0; i < kKeys * kHeads * kDim; ++i)
    values[i] = kOne;
  EXPECT(attnBufferUpload(value, values, sizeof values, 0) == ATTN_OK);
  AttnArgument arguments[] = {tensor("query", ATTN_F16, query, 4, row), tensor("key", ATTN_F16, value, 4, keys),
                              tensor("value", ATTN_F16, value, 4, keys), tensor("out", ATTN_F16, result, 4, row),
                              tensor("lse", ATTN_F32, sums, 3, lseShape)};
  AttnLaunchOptions launch;
  memset(&launch, 0, sizeof launch);
  size_t bytes = 1;
  EXPECT(attnPlanWorkspaceBytes(plan, arguments, 5, 1, &bytes) == ATTN_OK && bytes == 0);
  EXPECT_FAILURE(attnPlanWorkspaceBytes(plan, arguments, 5, 1025, &bytes), ATTN_INVALID_ARGUMENT, "splits: 1025 is more than 1024");
  EXPECT(attnPlanWorkspaceBytes(plan, arguments, 5, 3, &bytes) == ATTN_OK && bytes > 0);
  EXPECT(attnBufferAllocate(device, bytes, &workspace) == ATTN_OK);
  launch.splits = 3;
  EXPECT_FAILURE(attnPlanLaunch(plan, NULL, arguments, 5, &launch), ATTN_INVALID_ARGUMENT, "workspace: the plan needs");
  launch.workspace = attnBufferAddress(workspace);
  launch.workspace_bytes = bytes;
  for (launch.splits = 1; launch.splits <= 3; ++launch.splits) {
    float lse[kHeads];
    EXPECT(attnBufferFill(result, 0xff) == ATTN_OK && attnBufferFill(sums, 0xff) == ATTN_OK);
    EXPECT(attnPlanLaunch(plan, NULL, arguments, 5, &launch) == ATTN_OK);
    EXPECT(attnBufferDownload(result, out, sizeof out, 0) == ATTN_OK);
    EXPECT(attnBufferDownload(sums, lse, sizeof lse, 0) == ATTN_OK);
    for (int i = 0; i < kHeads * kDim; ++i)
      EXPECT(out[i] == kOne);
    for (int head = 0; head < kHeads; ++head)
      EXPECT(fabs(lse[head] - log(kKeys)) < 1e-5);
  }
  launch.splits = 1025;
  EXPECT_FAILURE(attnPlanLaunch(plan, NULL, arguments, 5, &launch), ATTN_INVALID_ARGUMENT, "splits: 1025");

  attnBufferFree(query);
  attnBufferFree(value);
  attnBufferFree(result);
  attnBufferFree(sums);
  attnBufferFree(workspace);
  attnPlanClose(plan);
  attnModuleClose(module);
}

static void testRefusals(const AttnDevice *device) {
  static const char *const defines[] = {"width"};
  AttnCompileOptions options;
  AttnModule *module = NULL;
  memset(&options, 0, sizeof options);
  options.file_name = "mine.attn";
  EXPECT_FAILURE(attnModuleCompile(device, "attention a {\n  head_dim: 64\n  mask = casual()\n}", &options, &module),
                 ATTN_COMPILE_ERROR, "mine.attn:3:10: error: ");
  EXPECT(strstr(attnLastMessage(), "causal") != NULL);
  options.target = "sm_81";
  EXPECT_FAILURE(attnModuleCompile(device, "attention a { head_dim: 64 }", &options, &module), ATTN_NOT_FOUND, "sm_81");
  options.target = NULL;
  options.defines = defines;
  options.define_count = 1;
  EXPECT_FAILURE(attnModuleCompile(device, "attention a { head_dim: 64 }", &options, &module), ATTN_INVALID_ARGUMENT,
                 "expects `name=value`, but got `width`");
  EXPECT_FAILURE(attnModuleCompile(device, NULL, NULL, &module), ATTN_INVALID_ARGUMENT, "`text` is null");
  EXPECT(module == NULL);
}

int main(void) {
  AttnDevice *device;
  EXPECT(attnHasCompiler() == 1);
  EXPECT(attnDeviceOpen("emulator", NULL, &device) == ATTN_OK);
  testRun(device);
  testSplits(device);
  testRefusals(device);
  attnDeviceClose(device);
  return 0;
}
