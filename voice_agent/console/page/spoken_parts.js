// An answer cut into what was heard and what was cut off, and into sentences with their sources.
// Pure: text in, parts out.

// [{text, source: index in `sources` or -1, heard: bool}], which together are the whole answer.
export function spokenParts(answer, heard, cutOff, sources = []) {
  const until = cutOff ? heardUntil(answer, heard ?? "") : answer.length;
  const marks = new Set([0, until, answer.length]);
  const backed = [];
  let from = 0;
  sources.forEach((source, index) => {
    const sentence = (source.sentence ?? "").trim();
    if (!sentence) return;
    let begin = answer.indexOf(sentence, from);
    if (begin < 0) begin = answer.indexOf(sentence);
    if (begin < 0) return;
    from = begin + sentence.length;
    marks.add(begin).add(from);
    backed.push({ begin, end: from, index });
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

// Where in the answer hearing stopped. `heard` is how it was spoken, so that "$5" may be there as
// "five dollars": words are compared, and where they part the count of words decides.
export function heardUntil(answer, heard) {
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
