// Brings the parts together: texts into a Program, each attention through Sema, messages to MLIR's engine.
#include "dsl/Analyze.h"
#include "dsl/EmitDiagnostics.h"
#include "dsl/Formatter.h"
#include "dsl/Parser.h"
#include "dsl/Prelude.h"
#include "dsl/Program.h"
#include "dsl/Sema.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <set>

namespace attn::dsl {

static mlir::Location locationOf(mlir::MLIRContext &context, const SourceFiles &files, SourceRange range) {
  SourcePosition position = files.positionOf(range);
  return mlir::FileLineColLoc::get(&context, files[range.file].name, position.line, position.column);
}

void emitDiagnostics(mlir::MLIRContext &context, const SourceFiles &files, const DiagnosticSink &diagnostics) {
  for (const Diagnostic &diagnostic : diagnostics.all()) {
    mlir::Location location = locationOf(context, files, diagnostic.range);
    bool isError = describe(diagnostic.kind).severity == Severity::Error;
    mlir::InFlightDiagnostic emitted = isError ? mlir::emitError(location) : mlir::emitWarning(location);
    emitted << message(diagnostic);
    for (const DiagnosticNote &note : diagnostic.notes)
      emitted.attachNote(locationOf(context, files, note.range)) << message(note);
  }
}

namespace {

/// One run over the main buffer of a SourceMgr.
class Analysis {
public:
  Analysis(mlir::MLIRContext &context, llvm::SourceMgr &sources) : context(context), sources(sources) {
    const llvm::MemoryBuffer *main = sources.getMemoryBuffer(sources.getMainFileID());
    mainFile = files.add(main->getBufferIdentifier().str(), view(main));
  }
  ~Analysis() { emitDiagnostics(context, files, diagnostics); }

  llvm::FailureOr<TypedSpecs> analyze(const AnalyzeOptions &options);
  llvm::FailureOr<std::vector<std::string>> listAttentions();
  llvm::FailureOr<std::string> format();
  std::string fixed(const AnalyzeOptions &options) {
    (void)analyze(options);
    return applyFixes(files[mainFile].text, mainFile, diagnostics);
  }

private:
  static std::string_view view(const llvm::MemoryBuffer *buffer) {
    return {buffer->getBufferStart(), buffer->getBufferSize()};
  }
  std::string_view addBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer);
  std::optional<ImportedText> loadImport(std::string_view importingFile, std::string_view path);
  void parseDefines(const AnalyzeOptions &options);
  void checkAttentionNames(const AnalyzeOptions &options);
  void checkDefines();
  SourceRange fileStart() const { return {mainFile, 0, 0}; }

  mlir::MLIRContext &context;
  llvm::SourceMgr &sources;
  SourceFiles files;
  DiagnosticSink diagnostics;
  Program program{files, diagnostics};
  std::uint32_t mainFile = 0;
  std::vector<ast::ExprPtr> defineTrees;
  Defines defines;
};

} // namespace

std::string_view Analysis::addBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  std::string_view text = view(buffer.get());
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  return text;
}

std::optional<ImportedText> Analysis::loadImport(std::string_view importingFile, std::string_view path) {
  llvm::SmallString<256> full(llvm::sys::path::parent_path(llvm::StringRef(importingFile)));
  llvm::sys::path::append(full, llvm::StringRef(path));
  llvm::sys::path::remove_dots(full, true);
  std::string name(full);
  for (std::uint32_t file = 0; file < files.count(); ++file)
    if (files[file].name == name)
      return ImportedText{name, files[file].text};
  auto buffer = llvm::MemoryBuffer::getFile(name);
  if (!buffer)
    return std::nullopt;
  return ImportedText{name, addBuffer(std::move(*buffer))};
}

void Analysis::parseDefines(const AnalyzeOptions &options) {
  for (const auto &[name, value] : options.defines) {
    std::string_view text = addBuffer(llvm::MemoryBuffer::getMemBufferCopy(value, "-D " + name));
    std::uint32_t file = files.add("-D " + name, text);
    ast::ExprPtr tree = parseExpression(text, file, diagnostics);
    if (!tree)
      continue;
    defines[name] = {tree.get(), {file, 0, static_cast<std::uint32_t>(text.size())}, false};
    defineTrees.push_back(std::move(tree));
  }
}

/// Of the attentions of a file the one that was meant; else all that there are.
static std::string hintOf(const std::string &wanted, const std::vector<std::string> &names) {
  if (std::optional<std::string> intended = intendedName(wanted, names))
    return didYouMean(intended);
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "; there is `" : ", `") + name + "`";
  return text;
}

void Analysis::checkAttentionNames(const AnalyzeOptions &options) {
  std::map<std::string, SourceRange> first;
  std::vector<std::string> names;
  for (const ast::Attention &attention : program.mainTree().attentions) {
    names.push_back(attention.name.text);
    auto [place, isNew] = first.try_emplace(attention.name.text, attention.name.range);
    if (!isNew)
      diagnostics.report(DiagnosticKind::AttentionTwice, attention.name.range, {attention.name.text})
          .note(DiagnosticKind::FirstHere, place->second, {attention.name.text});
  }
  if (names.empty())
    diagnostics.report(DiagnosticKind::NoAttention, fileStart());
  else if (!options.attention.empty() && !first.count(options.attention))
    diagnostics.report(DiagnosticKind::AttentionUnknown, fileStart(),
                       {options.attention, hintOf(options.attention, names)});
}

void Analysis::checkDefines() {
  std::vector<std::string> candidates = {"q_heads", "kv_heads"};
  for (const ast::Attention &attention : program.mainTree().attentions)
    for (const ast::Parameter &parameter : attention.parameters) {
      if (!parameter.isTensor)
        candidates.push_back(parameter.name.text);
      for (const ast::ExprPtr &dim : parameter.dims)
        if (dim->kind == ast::ExprKind::Name && !isGivenValueName(dim->name.text))
          candidates.push_back(dim->name.text);
    }
  for (const auto &[name, define] : defines)
    if (!define.used && isExtentName(name) && !findPropertyName(name))
      diagnostics.report(DiagnosticKind::DefineOfExtent, define.range, {name});
    else if (!define.used && findPropertyName(name))
      diagnostics.report(DiagnosticKind::DefineOfFixed, define.range, {name});
    else if (!define.used)
      diagnostics.report(DiagnosticKind::UnknownDefine, define.range, {name, didYouMean(intendedName(name, candidates))});
}

llvm::FailureOr<TypedSpecs> Analysis::analyze(const AnalyzeOptions &options) {
  std::string_view prelude = addBuffer(llvm::MemoryBuffer::getMemBuffer(
      llvm::StringRef(preludeText().data(), preludeText().size()), "prelude.attn", /*RequiresNullTerminator=*/false));
  std::uint32_t preludeFile = files.add("prelude.attn", prelude, /*isPrelude=*/true);
  program.load(mainFile, preludeFile, [this](std::string_view importing, std::string_view path) {
    return loadImport(importing, path);
  });
  if (program.hasSyntaxErrors())
    return llvm::failure();
  checkAttentionNames(options);
  parseDefines(options);
  TypedSpecs specs;
  for (const ast::Attention &attention : program.mainTree().attentions) {
    if (!options.attention.empty() && attention.name.text != options.attention)
      continue;
    if (std::unique_ptr<TypedSpec> spec = Sema(program, attention, defines, diagnostics).run())
      specs.push_back(std::move(spec));
  }
  checkDefines();
  if (diagnostics.hasErrors())
    return llvm::failure();
  return specs;
}

llvm::FailureOr<std::vector<std::string>> Analysis::listAttentions() {
  ast::File tree = parse(files[mainFile].text, mainFile, diagnostics);
  if (diagnostics.hasErrors())
    return llvm::failure();
  std::vector<std::string> names;
  for (const ast::Attention &attention : tree.attentions)
    names.push_back(attention.name.text);
  return names;
}

llvm::FailureOr<std::string> Analysis::format() {
  std::optional<std::string> text = formatText(files[mainFile].text, mainFile, diagnostics);
  if (!text)
    return llvm::failure();
  return *text;
}

llvm::FailureOr<TypedSpecs> analyze(mlir::MLIRContext &context, llvm::SourceMgr &sources, const AnalyzeOptions &options) {
  return Analysis(context, sources).analyze(options);
}

llvm::FailureOr<TypedSpecs> analyze(mlir::MLIRContext &context, llvm::SourceMgr &sources, llvm::StringRef fileName,
                                    llvm::StringRef text, const AnalyzeOptions &options) {
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, fileName), llvm::SMLoc());
  return Analysis(context, sources).analyze(options);
}

std::string fixed(mlir::MLIRContext &context, llvm::SourceMgr &sources, const AnalyzeOptions &options) {
  return Analysis(context, sources).fixed(options);
}

llvm::FailureOr<std::vector<std::string>> listAttentions(mlir::MLIRContext &context, llvm::SourceMgr &sources) {
  return Analysis(context, sources).listAttentions();
}

llvm::FailureOr<std::string> format(mlir::MLIRContext &context, llvm::SourceMgr &sources) {
  return Analysis(context, sources).format();
}

} // namespace attn::dsl
