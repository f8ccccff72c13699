// Every dialect that may stand in our IR, in one registry: ours and the upstream ones they are mixed with.
#pragma once

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace attn {

void registerAllDialects(mlir::DialectRegistry &registry);

} // namespace attn
