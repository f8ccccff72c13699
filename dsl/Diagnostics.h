// Messages of the front end as data: a kind, a place, and what to put into the kind's text. They are collected here
// and handed to MLIR's diagnostic engine at the end (EmitDiagnostics.h), so that lexer and parser need no MLIR.
#pragma once

#include "dsl/Token.h"

#include <cstdint>
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

struct Diagnostic {
  DiagnosticKind kind;
  SourceRange range;
  std::vector<std::string> arguments;
  std::vector<DiagnosticNote> notes;
  std::string context;       ///< "in `rope`: ", where the place is the call of a prelude function

  Diagnostic &note(DiagnosticKind noteKind, SourceRange noteRange, std::vector<std::string> noteArguments = {}) {
    notes.push_back({noteKind, noteRange, std::move(noteArguments)});
    return *this;
  }
};

std::string message(const Diagnostic &diagnostic);
std::string message(const DiagnosticNote &note);

/// Collects diagnostics in the order of their discovery. A second one of the same kind, place and text is dropped, and
/// after `kLimit` no more are kept.
class DiagnosticSink {
public:
  static constexpr std::size_t kLimit = 100;

  Diagnostic &report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments = {});
  bool hasErrors() const { return errors > 0; }
  std::size_t errorCount() const { return errors; }
  const std::vector<Diagnostic> &all() const { return diagnostics; }

private:
  std::vector<Diagnostic> diagnostics;
  Diagnostic dropped{};
  std::size_t errors = 0;
};

/// "; did you mean `x`?" for the candidate nearest to `name`, empty where none is near.
std::string suggestion(std::string_view name, const std::vector<std::string> &candidates);

} // namespace attn::dsl
