// All functions that a file may call, checked once: its own, those of the files it imports, the prelude's.
#pragma once

#include "dsl/Diagnostics.h"
#include "dsl/SourceFiles.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace attn::dsl {

struct FunctionRef {
  const ast::Function *function = nullptr;
  std::uint32_t file = 0;
};

/// Finds the text of an imported file; the text must outlive the program. Nothing where it cannot be read.
struct ImportedText {
  std::string name;       ///< under which messages show it, and by which it is recognised when imported again
  std::string_view text;
};
using ImportLoader = std::function<std::optional<ImportedText>(std::string_view importingFile, std::string_view path)>;

class Program {
public:
  Program(SourceFiles &files, DiagnosticSink &diagnostics) : files(files), diagnostics(diagnostics) {}

  /// Parses the main file, the prelude and all imports; without syntax errors it then checks every function.
  void load(std::uint32_t mainFile, std::uint32_t preludeFile, const ImportLoader &loader);

  /// The function that `name` means in `file`.
  std::optional<FunctionRef> find(std::uint32_t file, std::string_view name) const;
  std::vector<std::string> functionNames(std::uint32_t file) const;
  const ast::File &mainTree() const { return files[mainFile].tree; }
  const SourceFiles &sources() const { return files; }
  bool hasSyntaxErrors() const { return syntaxErrors; }
  /// True if a function's body was refused already, so that its faults need no second message.
  bool hasFunctionErrors() const { return functionErrors; }

private:
  using Table = std::map<std::string, FunctionRef, std::less<>>;

  void parseFile(std::uint32_t file);
  void loadImports(std::uint32_t file, const ImportLoader &loader);
  void collectFunctions(std::uint32_t file);
  void collectImported(std::uint32_t file);
  void collectNames();
  void collectSizeNames(const ast::Expr &expr);
  void checkFunctions(std::uint32_t file);
  void checkRecursion();
  bool visitCalls(const FunctionRef &ref, std::map<const ast::Function *, int> &state, unsigned depth);

  SourceFiles &files;
  DiagnosticSink &diagnostics;
  std::uint32_t mainFile = 0, preludeFile = 0;
  std::vector<Table> own, imported;          ///< a table a file
  std::set<std::string, std::less<>> sizeNames;   ///< names in sizes of parameters: they may be new extents
  std::set<std::string, std::less<>> localNames;  ///< parameters and `let`s of attentions, which functions do not see
  bool syntaxErrors = false, functionErrors = false;
};

} // namespace attn::dsl
