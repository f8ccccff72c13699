#include "driver/Session.h"

#include "codegen/LlvmModule.h"
#include "dsl/Analyze.h"
#include "dsl/AstToAttn.h"
#include "ir/AllDialects.h"
#include "ir/attn/AttnDialect.h"
#include "ir/attn/PlanOptions.h"
#include "passes/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <fmt/format.h>

#include <optional>

using namespace mlir;

namespace attn::driver {

static DialectRegistry &registry() {
  static DialectRegistry &dialects = *[] {
    auto *made = new DialectRegistry;
    registerAllDialects(*made);
    codegen::registerLlvmTranslations(*made);
    return made;
  }();
  return dialects;
}

Session::Session(const CompileRequest &request)
    : request(request), mlirContext(registry(), MLIRContext::Threading::DISABLED),
      stream(std::make_unique<llvm::raw_string_ostream>(rendered)) {
  sourceMgr.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(request.source, request.fileName), llvm::SMLoc());
  printer = std::make_unique<SourceMgrDiagnosticHandler>(sourceMgr, &mlirContext, *stream);
  mlirContext.printOpOnDiagnostic(false); // the specification's line is shown, which says more
  // Asked first: remarks are kept apart, the rest goes on to the printer below.
  mlirContext.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) -> LogicalResult {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Remark)
      return mlir::failure();
    remarkLines.push_back(diagnostic.str());
    return mlir::success();
  });
}

Session::~Session() = default;

Status Session::failure(std::string_view otherwise) const {
  return Status(StatusCode::CompileError, rendered.empty() ? std::string(otherwise) : warnings());
}

std::string Session::warnings() const {
  std::string text = rendered;
  constexpr std::string_view kNoteOfHelp = ": note: help: ", kHelp = ": help: "; // MLIR has no such severity
  for (std::size_t at = 0; (at = text.find(kNoteOfHelp, at)) != std::string::npos; at += kHelp.size())
    text.replace(at, kNoteOfHelp.size(), kHelp);
  return text;
}

Result<std::unique_ptr<dsl::TypedSpec>> Session::analyzeOne() {
  dsl::AnalyzeOptions options{.defines = request.defines, .attention = request.attention};
  FailureOr<dsl::TypedSpecs> specs = dsl::analyze(mlirContext, sourceMgr, options);
  if (failed(specs))
    return failure(fmt::format("{}: was refused", request.fileName));
  if (specs->size() != 1) {
    std::string names;
    for (const auto &spec : *specs)
      names += (names.empty() ? "" : ", ") + spec->name;
    return Status(StatusCode::InvalidArgument,
                  specs->empty() ? fmt::format("{}: holds no attention", request.fileName)
                                 : fmt::format("{}: holds several attentions, choose one with --attention: {}", request.fileName, names));
  }
  return std::move(specs->front());
}

/// The stage whose IR a module holds, by how its functions are marked; none without a kernel or plan.
static std::optional<Stage> stageOf(ModuleOp module) {
  for (Operation &op : module.getBody()->getOperations()) {
    if (op.hasAttr(ir::AttnDialect::kPlan))
      return Stage::Attn;
    if (op.hasAttr("tile.kernel"))
      return Stage::Tile;
    if (op.getName().getStringRef() == "llvm.func")
      return Stage::Nvvm;
  }
  return std::nullopt;
}

static Status checkStage(const CompileRequest &request, ModuleOp module) {
  std::optional<Stage> found = stageOf(module);
  if (found == request.from)
    return {};
  return Status(StatusCode::CompileError,
                found ? fmt::format("{}: holds {} IR, not {} IR; read it with --from {}", request.fileName, spelling(*found),
                                    spelling(request.from), spelling(*found))
                      : fmt::format("{}: holds no kernel in {} IR", request.fileName, spelling(request.from)));
}

/// What the request asks of each plan, as its passes find it.
static void mark(ModuleOp module, const CompileRequest &request) {
  if (request.approximateTanh)
    for (auto plan : module.getOps<func::FuncOp>())
      if (plan->hasAttr(ir::AttnDialect::kPlan))
        plan->setAttr(ir::kApproximateTanhAttr, UnitAttr::get(module.getContext()));
}

Result<OwningOpRef<ModuleOp>> Session::start() {
  if (request.from != Stage::Source) {
    ParserConfig config(&mlirContext);
    OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sourceMgr, config);
    if (!module)
      return failure(fmt::format("{}: is not readable as {} IR", request.fileName, spelling(request.from)));
    if (Status status = checkStage(request, *module); !status)
      return status;
    mark(*module, request);
    return module;
  }
  Result<std::unique_ptr<dsl::TypedSpec>> spec = analyzeOne();
  if (!spec)
    return spec.status();
  OwningOpRef<ModuleOp> module = dsl::astToAttn(mlirContext, **spec);
  if (!module)
    return failure(fmt::format("{}: was refused", request.fileName));
  mark(*module, request);
  return module;
}

Status Session::continueTo(ModuleOp module, Stage from, Stage to) {
  PipelineOptions options;
  options.target = request.target;
  options.schedule = request.schedule;
  options.checked = request.checked;
  options.tf32 = request.tf32;
  PassManager manager(&mlirContext);
  if (from < Stage::Attn && to >= Stage::Attn)
    buildAttnPipeline(manager, options);
  if (from < Stage::Tile && to >= Stage::Tile)
    buildTilePipeline(manager, options);
  if (from < Stage::Nvvm && to >= Stage::Nvvm)
    buildNvvmPipeline(manager, options);
  if (failed(manager.run(module)))
    return failure(fmt::format("{}: could not be lowered to {}", request.fileName, spelling(to)));
  return {};
}

Result<OwningOpRef<ModuleOp>> Session::lower(Stage stage) {
  Result<OwningOpRef<ModuleOp>> module = start();
  if (!module)
    return module;
  if (Status status = continueTo(**module, request.from, stage); !status)
    return status;
  return module;
}

} // namespace attn::driver
