// Messages of the front end as data: a kind, a place, and what to put into the kind's text. They are collected here
// and handed to MLIR's diagnostic engine at the end (EmitDiagnostics.h), so that lexer and parser need no MLIR.
#pragma once

#include "dsl/Token.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::dsl {

enum class Severity : std::uint8_t { Error, Warning, Note };

enum class DiagnosticKind : std::uint16_t {
#define ATTN_DIAGNOSTIC(kind, severity, text) kind,
#include "dsl/Diagnostics.def"
};

struct DiagnosticRow {
  DiagnosticKind kind;
  std::string_view name;
  Severity severity;
  std::string_view text;     ///< `{0}`, `{1}`, … stand for the arguments
};
/// The row of Diagnostics.def.
const DiagnosticRow &describe(DiagnosticKind kind);
/// All rows, in order.
const std::vector<DiagnosticRow> &diagnosticRows();

struct DiagnosticNote {
  DiagnosticKind kind;
  SourceRange range;
  std::vector<std::string> arguments;
};

/// A change of the text that removes the mistake: `replacement` in the place of `range`, which is empty for an insertion.
struct Fix {
  SourceRange range;
  std::string replacement;
};

struct Diagnostic {
  DiagnosticKind kind;
  SourceRange range;
  std::vector<std::string> arguments;
  std::vector<DiagnosticNote> notes;
  std::string context;       ///< "in `rope`: ", where the place is the call of a prelude function
  std::vector<Fix> fixes;    ///< to be made together

  Diagnostic &note(DiagnosticKind noteKind, SourceRange noteRange, std::vector<std::string> noteArguments = {}) {
    notes.push_back({noteKind, noteRange, std::move(noteArguments)});
    return *this;
  }
  /// A fix that the message itself names; none without a replacement.
  Diagnostic &fix(SourceRange fixRange, std::optional<std::string> replacement) {
    if (replacement)
      fixes.push_back({fixRange, std::move(*replacement)});
    return *this;
  }
  /// A fix, and a note that shows it.
  Diagnostic &help(SourceRange fixRange, std::string replacement);
};

std::string message(const Diagnostic &diagnostic);
std::string message(const DiagnosticNote &note);

/// Collects diagnostics in the order of their discovery. A second one of the same kind, place and text is dropped, and
/// after `kLimit` no more are kept.
class DiagnosticSink {
public:
  static constexpr std::size_t kLimit = 100;

  Diagnostic &report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments = {});
  /// The one reported last, also where it was not kept.
  Diagnostic &last() { return wasDropped || diagnostics.empty() ? dropped : diagnostics.back(); }
  bool hasErrors() const { return errors > 0; }
  /// The first of a kind; reporting it again adds nothing but counts as an error.
  std::optional<Diagnostic> first(DiagnosticKind kind) const;
  std::size_t errorCount() const { return errors; }
  const std::vector<Diagnostic> &all() const { return diagnostics; }

private:
  std::vector<Diagnostic> diagnostics;
  Diagnostic dropped{};
  bool wasDropped = false;
  std::size_t errors = 0;
};

/// What a person who wrote `name` most likely meant: what other languages call so (ForeignNames.def), the candidate of
/// which it is the part before `(`, or the one that is spelled most alike.
std::optional<std::string> intendedName(std::string_view name, const std::vector<std::string> &candidates);
/// The expression that does here what other languages call a function of this name (ForeignNames.def).
std::optional<std::string> foreignFunction(std::string_view name);
/// "; did you mean `x`?", empty without a name.
std::string didYouMean(const std::optional<std::string> &intended);

/// `text` of file number `file` with all fixes made but those that overlap an earlier one or insert where one does.
std::string applyFixes(std::string_view text, std::uint32_t file, const DiagnosticSink &diagnostics);

} // namespace attn::dsl
