// The registry's rows and the texts made from them.
#include "dsl/Diagnostics.h"
#include "support/NearestName.h"

#include <algorithm>

namespace attn::dsl {

const std::vector<DiagnosticRow> &diagnosticRows() {
  static const std::vector<DiagnosticRow> kRows = {
#define ATTN_DIAGNOSTIC(kind, severity, text) {DiagnosticKind::kind, #kind, Severity::severity, text},
#include "dsl/Diagnostics.def"
  };
  return kRows;
}

const DiagnosticRow &describe(DiagnosticKind kind) { return diagnosticRows()[static_cast<std::size_t>(kind)]; }

/// `text` with `{i}` replaced by argument i.
static std::string fill(std::string_view text, const std::vector<std::string> &arguments) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool hole = text[i] == '{' && i + 2 < text.size() && text[i + 2] == '}' && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (!hole) {
      result += text[i];
      continue;
    }
    std::size_t index = static_cast<std::size_t>(text[i + 1] - '0');
    result += index < arguments.size() ? arguments[index] : std::string("?");
    i += 2;
  }
  return result;
}

std::string message(const Diagnostic &diagnostic) {
  return diagnostic.context + fill(describe(diagnostic.kind).text, diagnostic.arguments);
}

std::string message(const DiagnosticNote &note) { return fill(describe(note.kind).text, note.arguments); }

Diagnostic &DiagnosticSink::report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments) {
  bool isError = describe(kind).severity == Severity::Error;
  errors += isError;
  auto same = [&](const Diagnostic &other) {
    return other.kind == kind && other.range == range && other.arguments == arguments;
  };
  if (diagnostics.size() >= kLimit || std::any_of(diagnostics.begin(), diagnostics.end(), same)) {
    dropped = {kind, range, std::move(arguments), {}, {}};
    return dropped;
  }
  diagnostics.push_back({kind, range, std::move(arguments), {}, {}});
  return diagnostics.back();
}

std::string suggestion(std::string_view name, const std::vector<std::string> &candidates) {
  std::optional<std::string_view> found = nearestName(name, candidates);
  return found ? "; did you mean `" + std::string(*found) + "`?" : std::string();
}

} // namespace attn::dsl
