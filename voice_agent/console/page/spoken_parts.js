// An answer cut into what was heard and what was cut off, and into sentences with their sources.
// Pure: text in, parts out.

// [{text, source: index in `sources` or -1, heard: bool}], which together are the whole answer.
export function spokenParts(answer, heard, cutOff, sources = []) {
  const until = cutOff ? heardUntil(answer, heard ?? "") : answer.length;
  const marks = new Set([0, until, answer.length]);
  const backed = [];
  let from = 0;
  sources.forEach((source, index) => {
    const place = find(answer, (source.sentence ?? "").trim(), from);
    if (!place) return;
    from = place.end;
    marks.add(place.begin).add(place.end);
    backed.push({ ...place, index });
  });
  const edges = [...marks].sort((a, b) => a - b);
  const parts = [];
  for (let at = 0; at + 1 < edges.length; at += 1) {
    const [begin, end] = [edges[at], edges[at + 1]];
    const behind = backed.filter((each) => each.begin <= begin && end <= each.end).map((each) => each.index);
    parts.push({ text: answer.slice(begin, end), sources: behind, heard: end <= until });
  }
  return parts;
}

// Where a sentence is in the answer. One with a number is there as it was spoken ("$4.95" as "four
// dollars ninety-five"): then its first and last words tell.
function find(answer, sentence, from) {
  if (!sentence) return null;
  let begin = answer.indexOf(sentence, from);
  if (begin < 0) begin = answer.indexOf(sentence);
  if (begin >= 0) return { begin, end: begin + sentence.length };
  const words = sentence.split(/\s+/);
  if (words.length < 4) return null;
  const [head, tail] = [words.slice(0, 2).join(" "), words.slice(-2).join(" ")];
  begin = answer.indexOf(head, from);
  const end = begin < 0 ? -1 : answer.indexOf(tail, begin);
  return end < 0 || end - begin > 3 * sentence.length ? null : { begin, end: end + tail.length };
}

// Where in the answer hearing stopped. `heard` is how it was spoken, so that "$5" may be there as
// "five dollars": words are compared, and where they part the count of words decides.
function heardUntil(answer, heard) {
  const said = heard.match(/\S+/g) ?? [];
  if (!said.length) return 0;
  if (answer.startsWith(heard.trim())) return heard.trim().length;
  const written = [...answer.matchAll(/\S+/g)];
  const last = said.slice(-3).map(bare).join(" ");
  const words = written.map((match) => bare(match[0]));
  for (let at = words.length - 1; at >= 0 && last; at -= 1) {
    if (words.slice(Math.max(0, at - 2), at + 1).join(" ") === last) return endOf(written[at]);
  }
  return endOf(written[Math.min(said.length, written.length) - 1]);
}

const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const endOf = (match) => (match ? match.index + match[0].length : 0);
