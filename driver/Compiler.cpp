#include "driver/Compiler.h"

#include "codegen/KernelAbi.h"
#include "codegen/KernelThreads.h"
#include "codegen/LlvmModule.h"
#include "codegen/Ptx.h"
#include "driver/Session.h"
#include "dsl/Analyze.h"
#include "support/GpuTarget.h"
#include "support/NearestName.h"

#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

using namespace mlir;

namespace attn::driver {

static Status checkTarget(const std::string &name) {
  const GpuTarget *target = findGpuTarget(name);
  if (!target)
    return Status(StatusCode::InvalidArgument, fmt::format("target `{}` is not known{}", name, nameHint(name, gpuTargetNames())));
  if (!target->isCompiled)
    return Status(StatusCode::Unsupported,
                  fmt::format("target {}: code generation for it does not exist yet; code for sm_80 runs there", name));
  return {};
}

static std::string printModule(ModuleOp module, bool withLocations) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  if (withLocations)
    flags.enableDebugInfo();
  module.print(stream, flags);
  stream << '\n';
  return text;
}

/// LLVM IR and PTX of a module in the llvm and nvvm dialects.
static Result<std::string> emitBackEnd(Session &session, ModuleOp module, const CompileRequest &request, Stage stage) {
  if (stage == Stage::Llvm) {
    std::unique_ptr<codegen::LlvmModule> llvmModule = codegen::translateToLlvm(module);
    return llvmModule ? Result<std::string>(codegen::printLlvm(*llvmModule)) : session.failure("LLVM IR could not be made");
  }
  std::string error;
  std::optional<std::string> ptx = codegen::emitKernels(module, {.target = request.target}, &error);
  if (!ptx)
    return error.empty() ? session.failure("LLVM IR could not be made") : Status(StatusCode::CompileError, error);
  return *ptx;
}

/// `ptx`, unless it has no kernel: text given with `--from` may be anything.
static Result<std::string> holdsKernel(const CompileRequest &request, std::string ptx) {
  if (ptx.find(".entry") == std::string::npos)
    return Status(StatusCode::CompileError, fmt::format("{}: holds no kernel in {}", request.fileName,
                                                        request.from == Stage::Ptx ? "PTX" : "LLVM IR"));
  return ptx;
}

static Result<std::string> emitFromLlvm(const CompileRequest &request, Stage stage) {
  std::string error;
  std::unique_ptr<codegen::LlvmModule> llvmModule = codegen::parseLlvm(request.source, request.fileName, &error);
  if (!llvmModule)
    return Status(StatusCode::CompileError, error);
  if (stage == Stage::Llvm)
    return codegen::printLlvm(*llvmModule);
  std::optional<std::string> ptx = codegen::emitPtx(*llvmModule, {.target = request.target}, &error);
  if (!ptx)
    return Status(StatusCode::CompileError, error);
  return holdsKernel(request, std::move(*ptx));
}

/// The stages that need a context of MLIR.
static Result<std::string> emitInSession(Session &session, const CompileRequest &request, Stage stage) {
  if (stage == Stage::Ast) {
    Result<std::unique_ptr<dsl::TypedSpec>> spec = session.analyzeOne();
    if (!spec)
      return spec.status();
    return dsl::printTypedSpec(**spec);
  }
  Result<OwningOpRef<ModuleOp>> module = session.lower(std::min(stage, Stage::Nvvm));
  if (!module)
    return module.status();
  if (stage <= Stage::Nvvm)
    return printModule(**module, /*withLocations=*/false);
  return emitBackEnd(session, **module, request, stage);
}

Result<std::string> emitStage(const CompileRequest &request, Stage stage, std::string *warnings) {
  if (Status status = checkTarget(request.target); !status)
    return status;
  if (stage <= request.from && stage != request.from)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("--emit {}: comes before --from {}", spelling(stage), spelling(request.from)));
  if (stage == Stage::Ast && request.from != Stage::Source)
    return Status(StatusCode::InvalidArgument, fmt::format("--from {}: a specification is needed here", spelling(request.from)));
  if (request.from == Stage::Ptx)
    return holdsKernel(request, request.source);
  if (request.from == Stage::Llvm)
    return emitFromLlvm(request, stage);
  Session session(request);
  Result<std::string> text = emitInSession(session, request, stage);
  if (text && warnings)
    *warnings = session.warnings();
  return text;
}

Result<CompiledPlan> compileSpec(const CompileRequest &request) {
  if (Status status = checkTarget(request.target); !status)
    return status;
  if (request.from > Stage::Tile)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("--from {}: holds no manifest any more; start from attn or tile IR", spelling(request.from)));
  Session session(request);
  Result<OwningOpRef<ModuleOp>> module = session.lower(Stage::Tile);
  if (!module)
    return module.status();
  CompiledPlan plan;
  std::string error;
  std::optional<PlanManifest> manifest = codegen::buildManifest(**module, request.target, &error);
  if (!manifest)
    return session.failure(error);
  plan.manifest = std::move(*manifest);
  plan.manifest.specSource = request.from == Stage::Source ? request.source : "";
  if (Status status = session.continueTo(**module, Stage::Tile, Stage::Nvvm); !status)
    return status;
  Result<std::string> ptx = emitBackEnd(session, **module, request, Stage::Ptx);
  if (!ptx)
    return ptx.status();
  plan.ptx = std::move(*ptx);
  plan.warnings = session.warnings();
  plan.remarks = session.remarks();
  return plan;
}

Result<std::unique_ptr<dsl::TypedSpec>> analyzeSpec(const CompileRequest &request) {
  if (request.from != Stage::Source)
    return Status(StatusCode::InvalidArgument, fmt::format("--from {}: a specification is needed here", spelling(request.from)));
  Session session(request);
  return session.analyzeOne();
}

Result<std::string> formatSource(const CompileRequest &request) {
  Session session(request);
  FailureOr<std::string> text = dsl::format(session.context(), session.sources());
  if (failed(text))
    return session.failure(fmt::format("{}: cannot be formatted", request.fileName));
  return *text;
}

std::string fixSource(const CompileRequest &request, std::string &messages) {
  Session session(request);
  std::string text = dsl::fixed(session.context(), session.sources());
  messages = session.warnings();
  return text;
}

std::string_view preludeText() { return dsl::preludeText(); }

Result<std::vector<std::string>> listAttentions(const CompileRequest &request) {
  Session session(request);
  FailureOr<std::vector<std::string>> names = dsl::listAttentions(session.context(), session.sources());
  if (failed(names))
    return session.failure(fmt::format("{}: was refused", request.fileName));
  return *names;
}

Result<std::string> canonicalText(const CompileRequest &request) {
  std::string text = fmt::format("target {}\nschedule {}\nchecked {}\ntf32 {}\napproximate_tanh {}\nfrom {}\n", request.target, request.schedule,
                                 request.checked, request.tf32, request.approximateTanh, spelling(request.from));
  if (request.from != Stage::Source)
    return text + request.source;
  Result<std::unique_ptr<dsl::TypedSpec>> spec = analyzeSpec(request);
  if (!spec)
    return spec.status();
  return text + dsl::printTypedSpec(**spec);
}

} // namespace attn::driver
