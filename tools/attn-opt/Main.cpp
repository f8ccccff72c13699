// attn-opt: the developers' tool. Reads IR of any stage, runs passes or whole pipelines on it, prints it; with
// --verify-diagnostics checks the messages. Users see `attnc` instead.
#include "ir/AllDialects.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  attn::registerAllDialects(registry);
  attn::registerAttnPasses();
  attn::registerPipelines();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "attnc passes\n", registry));
}
