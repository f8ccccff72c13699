// The passes of attnc: constructors, options and registration, all generated from Passes.td.
// Their order is in Pipelines.cpp.
#pragma once

#include "passes/VerifyStage.h"

#include "mlir/Pass/Pass.h"

#include <memory>
#include <string>

namespace attn {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace attn
