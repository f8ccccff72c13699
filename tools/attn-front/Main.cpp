// attn-front: the language front end alone, for developers and the tests under tests/lit/dsl.
//   attn-front FILE [--emit=tokens|tree|typed|attn|format|fixed|diagnostics] [--verify-diagnostics] [-D name=value] [--attention NAME]
#include "dsl/Analyze.h"
#include "dsl/AstToAttn.h"
#include "dsl/Diagnostics.h"
#include "dsl/Lexer.h"
#include "dsl/Parser.h"
#include "ir/AllDialects.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;
using namespace attn::dsl;

namespace {

enum class Emit { Tokens, Tree, Typed, Attn, Format, Fixed, Diagnostics };

} // namespace

static cl::opt<std::string> inputPath(cl::Positional, cl::desc("FILE"), cl::init("-"));
static cl::opt<Emit> emitKind("emit", cl::desc("what to print"), cl::init(Emit::Typed),
                              cl::values(clEnumValN(Emit::Tokens, "tokens", "one token a line"),
                                         clEnumValN(Emit::Tree, "tree", "the parser's tree"),
                                         clEnumValN(Emit::Typed, "typed", "the typed form of each attention"),
                                         clEnumValN(Emit::Attn, "attn", "the `attn` dialect, before any pass"),
                                         clEnumValN(Emit::Format, "format", "the canonical form"),
                                         clEnumValN(Emit::Fixed, "fixed", "the text after the changes that its messages offer"),
                                         clEnumValN(Emit::Diagnostics, "diagnostics", "the page of all messages")));
static cl::opt<bool> verifyDiagnostics("verify-diagnostics", cl::desc("compare messages with `# expected-error` comments"));
static cl::list<std::string> definitions("D", cl::Prefix, cl::desc("fix a parameter, extent or `any`"), cl::value_desc("name=value"));
static cl::opt<std::string> attentionName("attention", cl::desc("only this attention"));

static void printTokens(llvm::StringRef text) {
  DiagnosticSink diagnostics;
  LexedText lexed = lex({text.data(), text.size()}, 0, diagnostics);
  for (const Token &token : lexed.tokens) {
    llvm::outs() << (token.lineBreakBefore ? "| " : "  ") << tokenName(token.kind);
    if (!hasFixedText(token.kind))
      llvm::outs() << ' ' << text.slice(token.range.begin, token.range.end);
    llvm::outs() << '\n';
  }
  for (const Diagnostic &diagnostic : diagnostics.all())
    llvm::outs() << "error at " << diagnostic.range.begin << ": " << message(diagnostic) << '\n';
}

static void printDiagnosticsPage() {
  static constexpr llvm::StringLiteral kSeverities[] = {"error", "warning", "note"};
  llvm::outs() << "# Diagnostics of the language\n\nGenerated from `dsl/Diagnostics.def` by `attn-front --emit=diagnostics`. "
                  "`{0}`, `{1}`, … stand for what the place fills in.\n\n| kind | severity | text |\n|---|---|---|\n";
  for (const DiagnosticRow &row : diagnosticRows()) {
    std::string text;
    for (char c : row.text)
      text += c == '|' ? std::string_view("\\|") : std::string_view(&c, 1);
    llvm::outs() << "| " << llvm::StringRef(row.name) << " | " << kSeverities[static_cast<int>(row.severity)] << " | " << text
                 << " |\n";
  }
}

static llvm::LogicalResult run(mlir::MLIRContext &context, llvm::SourceMgr &sources) {
  llvm::StringRef text = sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  if (emitKind == Emit::Format) {
    llvm::FailureOr<std::string> formatted = format(context, sources);
    if (llvm::succeeded(formatted))
      llvm::outs() << *formatted;
    return formatted;
  }
  AnalyzeOptions options;
  options.attention = attentionName;
  for (llvm::StringRef definition : definitions) {
    auto [name, value] = definition.split('=');
    options.defines[name.str()] = value.str();
  }
  if (emitKind == Emit::Fixed) {
    llvm::outs() << fixed(context, sources, options);
    return llvm::success();
  }
  if (emitKind == Emit::Tree) {
    if (llvm::failed(listAttentions(context, sources)))
      return llvm::failure();
    DiagnosticSink silent;
    llvm::outs() << ast::print(parse({text.data(), text.size()}, 0, silent));
    return llvm::success();
  }
  llvm::FailureOr<TypedSpecs> specs = analyze(context, sources, options);
  if (llvm::failed(specs))
    return llvm::failure();
  for (const std::unique_ptr<TypedSpec> &spec : *specs)
    if (emitKind != Emit::Attn)
      llvm::outs() << printTypedSpec(*spec);
    else if (mlir::OwningOpRef<mlir::ModuleOp> module = astToAttn(context, *spec))
      llvm::outs() << *module << '\n';
    else
      return llvm::failure();
  return llvm::success();
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "the language front end of attnc\n");
  if (emitKind == Emit::Diagnostics) {
    printDiagnosticsPage();
    return 0;
  }
  auto buffer = llvm::MemoryBuffer::getFileOrSTDIN(inputPath);
  if (!buffer) {
    llvm::errs() << inputPath << ": " << buffer.getError().message() << '\n';
    return 1;
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  if (emitKind == Emit::Tokens) {
    printTokens(sources.getMemoryBuffer(sources.getMainFileID())->getBuffer());
    return 0;
  }
  mlir::DialectRegistry registry;
  attn::registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  if (verifyDiagnostics) {
    mlir::SourceMgrDiagnosticVerifierHandler handler(sources, &context);
    (void)run(context, sources);
    return llvm::failed(handler.verify());
  }
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  return llvm::failed(run(context, sources));
}
