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

std::optional<Diagnostic> DiagnosticSink::first(DiagnosticKind kind) const {
  auto found = std::find_if(diagnostics.begin(), diagnostics.end(), [&](const Diagnostic &diagnostic) { return diagnostic.kind == kind; });
  return found == diagnostics.end() ? std::nullopt : std::optional(*found);
}

Diagnostic &DiagnosticSink::report(DiagnosticKind kind, SourceRange range, std::vector<std::string> arguments) {
  bool isError = describe(kind).severity == Severity::Error;
  errors += isError;
  auto same = [&](const Diagnostic &other) {
    return other.kind == kind && other.range == range && other.arguments == arguments;
  };
  wasDropped = diagnostics.size() >= kLimit || std::any_of(diagnostics.begin(), diagnostics.end(), same);
  if (wasDropped) {
    dropped = {kind, range, std::move(arguments), {}, {}, {}};
    return dropped;
  }
  diagnostics.push_back({kind, range, std::move(arguments), {}, {}, {}});
  return diagnostics.back();
}

Diagnostic &Diagnostic::help(SourceRange fixRange, std::string replacement) {
  bool isInsertion = fixRange.begin == fixRange.end;
  std::size_t begin = replacement.find_first_not_of(' '), end = replacement.find_last_not_of(' ');
  note(isInsertion ? DiagnosticKind::FixInsert : DiagnosticKind::FixWrite, fixRange,
       {begin == std::string::npos ? replacement : replacement.substr(begin, end - begin + 1)});
  return fix(fixRange, std::move(replacement));
}

static std::optional<std::string_view> nativeName(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kRows[] = {
#define FOREIGN_NAME(foreign, native) {foreign, native},
#include "dsl/ForeignNames.def"
  };
  for (auto [foreign, native] : kRows)
    if (foreign == name)
      return native;
  return std::nullopt;
}

std::optional<std::string> foreignFunction(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kRows[] = {
#define FOREIGN_FUNCTION(foreign, text) {foreign, text},
#include "dsl/ForeignNames.def"
  };
  for (auto [foreign, text] : kRows)
    if (foreign == name)
      return std::string(text);
  return std::nullopt;
}

std::optional<std::string> intendedName(std::string_view name, const std::vector<std::string> &candidates) {
  if (std::optional<std::string_view> native = nativeName(name)) {
    bool isKeyword = *native == "true" || *native == "false";
    if (isKeyword || std::find(candidates.begin(), candidates.end(), *native) != candidates.end())
      return std::string(*native);
  }
  for (const std::string &candidate : candidates)
    if (std::size_t open = candidate.find('('); open != std::string::npos && candidate.substr(0, open) == name)
      return candidate;
  std::optional<std::string_view> found = nearestName(name, candidates);
  return found ? std::optional(std::string(*found)) : std::nullopt;
}

std::string didYouMean(const std::optional<std::string> &intended) {
  return intended ? "; did you mean `" + *intended + "`?" : std::string();
}

std::string applyFixes(std::string_view text, std::uint32_t file, const DiagnosticSink &diagnostics) {
  std::vector<Fix> fixes;
  for (const Diagnostic &diagnostic : diagnostics.all())
    for (const Fix &fix : diagnostic.fixes)
      if (fix.range.file == file)
        fixes.push_back(fix);
  std::stable_sort(fixes.begin(), fixes.end(), [](const Fix &a, const Fix &b) { return a.range.begin < b.range.begin; });
  std::string result;
  std::size_t done = 0;
  std::optional<std::size_t> inserted;       // a second insertion at a place rarely fits the first
  for (const Fix &fix : fixes) {
    if (fix.range.begin < done || inserted == fix.range.begin)
      continue;
    if (fix.range.begin == fix.range.end)
      inserted = fix.range.begin;
    result += text.substr(done, fix.range.begin - done);
    result += fix.replacement;
    done = fix.range.end;
  }
  return result + std::string(text.substr(std::min(done, text.size())));
}

} // namespace attn::dsl
