/// Text set in lines.
public enum Wrapping {
    /// Breaks at spaces so that no line is wider than `width`, unless a single word is; keeps the line breaks it finds.
    public static func lines(_ text: String, width: Int) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { paragraph -> [String] in
            var lines: [String] = []
            var line = ""
            for word in paragraph.split(separator: " ") {
                if !line.isEmpty && line.count + 1 + word.count > width {
                    lines.append(line)
                    line = ""
                }
                line += line.isEmpty ? String(word) : " " + word
            }
            return lines + [line]
        }
    }

    /// `indent` before every line but the first, which follows `prefix`.
    static func hanging(_ text: String, prefix: String, indent: Int, width: Int = 80) -> [String] {
        let margin = String(repeating: " ", count: indent)
        return lines(text, width: width - indent).enumerated().map { index, line in
            index == 0 ? prefix + line : margin + line
        }
    }
}
