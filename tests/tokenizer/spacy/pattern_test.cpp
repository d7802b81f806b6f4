// What Python's `re` finds, by Pattern. Expected values are Python's.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tokenizer/spacy/pattern.h"
#include "tokenizer/spacy/python_pattern.h"

namespace aid::tokenizer::spacy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::pair<size_t, size_t>> all(const char* pattern, std::string_view text) {
  PatternMemory memory;
  std::vector<Match> matches;
  Pattern(pattern, Pattern::Where::kAnywhere).find_all(text, memory, matches);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const Match& match : matches) pairs.emplace_back(match.begin, match.end);
  return pairs;
}

bool begins(const char* pattern, std::string_view text) {
  PatternMemory memory;
  return Pattern(pattern, Pattern::Where::kAtBegin).find(text, memory).has_value();
}

std::string refusal(const char* pattern) {
  try {
    Pattern made(pattern, Pattern::Where::kAnywhere);
  } catch (const PatternError& error) {
    return error.what();
  }
  return "nothing was refused";
}

auto at(size_t begin, size_t end) { return testing::Pair(begin, end); }

TEST(SpacyPattern, FirstAlternativeWins) {
  EXPECT_THAT(all("…|……", "……"), ElementsAre(at(0, 3), at(3, 6)));
  EXPECT_THAT(all("a|ab", "ab"), ElementsAre(at(0, 1)));
  EXPECT_THAT(all("(?:c|bc|abc)$", "xabc"), ElementsAre(at(1, 4)));  // the leftmost start
}

TEST(SpacyPattern, EmptyMatchesStandBesideOthers) {
  EXPECT_THAT(all("a*", "baac"), ElementsAre(at(0, 0), at(1, 3), at(3, 3), at(4, 4)));
  EXPECT_THAT(all("(?<=[a-z])(?=[A-Z])", "aBcD"), ElementsAre(at(1, 1), at(3, 3)));
  EXPECT_THAT(all("|a", "aa"), ElementsAre(at(0, 0), at(0, 1), at(1, 1), at(1, 2), at(2, 2)));
  EXPECT_THAT(all("x", ""), ElementsAre());
}

TEST(SpacyPattern, EndsAndLines) {
  EXPECT_THAT(all("a$", "a\n"), ElementsAre(at(0, 1)));
  EXPECT_THAT(all("a$", "a\r"), ElementsAre());
  EXPECT_THAT(all("a\\Z", "a\n"), ElementsAre());
  EXPECT_THAT(all("^a", "ba\na"), ElementsAre());
  EXPECT_THAT(all(".", "\r\n\xE2\x80\xA8"), ElementsAre(at(0, 1), at(2, 5)));
}

TEST(SpacyPattern, ClassesArePythons) {
  EXPECT_THAT(all("[]a]", "a]"), ElementsAre(at(0, 1), at(1, 2)));
  EXPECT_THAT(all("[^]a]", "a]b"), ElementsAre(at(2, 3)));
  EXPECT_THAT(all("[[:alpha:]]", "a]"), ElementsAre(at(0, 2)));  // no POSIX class: one of "[:alph", then "]"
  EXPECT_THAT(all("[a-]", "-b"), ElementsAre(at(0, 1)));
  EXPECT_THAT(all("[\\w-]", "-é"), ElementsAre(at(0, 1), at(1, 3)));
  EXPECT_THAT(all("[^\\W\\d_]", "_5ñ"), ElementsAre(at(2, 4)));
  EXPECT_THAT(all("\\s", "\x1C\xC2\x85"), ElementsAre(at(0, 1), at(1, 3)));
  EXPECT_THAT(all("\\d", "²٣"), ElementsAre(at(2, 4)));                          // Nd alone
  EXPECT_THAT(all("\\w", "²½\u0301"), ElementsAre(at(0, 2), at(2, 4)));          // numbers, but no marks
  EXPECT_THAT(all("[\\u00a1-\\uffff]", "\xEE\x80\x80"), ElementsAre(at(0, 3)));  // past the surrogates
  EXPECT_THAT(all("[^\\s\\S]|a", "a"), ElementsAre(at(0, 1)));
  EXPECT_THAT(all("[\\b]", "\b"), ElementsAre(at(0, 1)));
}

TEST(SpacyPattern, Boundaries) {
  EXPECT_THAT(all("\\b", "ñu. x"), ElementsAre(at(0, 0), at(3, 3), at(5, 5), at(6, 6)));
  EXPECT_THAT(all("\\B", "ab"), ElementsAre(at(1, 1)));
  EXPECT_THAT(all("\\B", ""), ElementsAre());
}

TEST(SpacyPattern, BracesThatCountAndThatDoNot) {
  EXPECT_THAT(all("a{,2}b", "aaab"), ElementsAre(at(1, 4)));
  EXPECT_THAT(all("a{2}", "aaa"), ElementsAre(at(0, 2)));
  EXPECT_THAT(all("a{}", "a{}"), ElementsAre(at(0, 3)));
  EXPECT_THAT(all("a{x", "a{x"), ElementsAre(at(0, 3)));
  EXPECT_THAT(all("a{1,2}?", "aa"), ElementsAre(at(0, 1), at(1, 2)));
}

TEST(SpacyPattern, GroupsAndLooks) {
  EXPECT_THAT(all("(?P<n>a)(?=b)|(?<!a)c", "abc"), ElementsAre(at(0, 1), at(2, 3)));
  EXPECT_THAT(all("(?u)(a)(?!b)", "abac"), ElementsAre(at(2, 3)));
  EXPECT_TRUE(begins("ab|b", "bc"));
  EXPECT_FALSE(begins("b", "ab"));
}

TEST(SpacyPattern, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal("(?i)a"), HasSubstr("at character 1 of the pattern: a group with flags"));
  EXPECT_THAT(refusal("(a)\\1"), HasSubstr("back reference"));
  EXPECT_THAT(refusal("(?P=a)"), HasSubstr("back reference"));
  EXPECT_THAT(refusal("(?:a*)*"), HasSubstr("at character 7 of the pattern: a repeat of what may match the empty"));
  EXPECT_THAT(refusal("(?:a?){2}"), HasSubstr("empty string"));
  EXPECT_THAT(refusal("\\N{DIGIT ONE}"), HasSubstr("the escape \\N is not known"));
  EXPECT_THAT(refusal("\\u00g0"), HasSubstr("too few hexadecimal digits"));
  EXPECT_THAT(refusal("\\U00110000"), HasSubstr("beyond U+10FFFF"));
  EXPECT_THAT(refusal("a**"), HasSubstr("a repeat of a repeat"));
  EXPECT_THAT(refusal("*"), HasSubstr("a repeat of nothing"));
  EXPECT_THAT(refusal("^*"), HasSubstr("a repeat of nothing"));
  EXPECT_THAT(refusal("[b-a]"), HasSubstr("from more to less"));
  EXPECT_THAT(refusal("[a"), HasSubstr("ends too early"));
  EXPECT_THAT(refusal("(a"), HasSubstr("nothing closes"));
  EXPECT_THAT(refusal("a)"), HasSubstr("closes nothing"));
  EXPECT_THAT(refusal("\\"), HasSubstr("ends too early"));
  EXPECT_THAT(refusal("a{70000}"), HasSubstr("PCRE2 does not compile it"));
  EXPECT_THAT(refusal("a{999999999999}"), HasSubstr("more than 65535 times"));
  EXPECT_THAT(refusal("(?<=a+)b"), HasSubstr("PCRE2 does not compile it"));
  EXPECT_THAT(refusal(std::string(5000, '(').c_str()), HasSubstr("nested"));
}

// Python's matcher keeps its state on the heap, too.
TEST(SpacyPattern, LongTextsNeedNoStack) {
  const std::string text(1 << 20, 'a');
  EXPECT_THAT(all("(?:a|b)*$", text), ElementsAre(at(0, text.size()), at(text.size(), text.size())));
}

}  // namespace
}  // namespace aid::tokenizer::spacy
