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
  testRefusals(device);
  attnDeviceClose(device);
  return 0;
}
