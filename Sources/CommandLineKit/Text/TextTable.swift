/// A small table for a terminal of 80 columns.
///
///     var table = TextTable([.left("tensor", shrinks: true), .right("rank"), .right("error")])
///     table.add(["model.layers.0.mlp.up_proj", "64", "0.0123"])
///     terminal.print(table.text())
///
/// Where a row would be too wide, the column that may shrink loses the middle of its texts.
public struct TextTable: Sendable {
    /// One column with its heading.
    public struct Column: Sendable {
        let title: String
        let isRight: Bool
        let shrinks: Bool

        /// Text.
        public static func left(_ title: String, shrinks: Bool = false) -> Column {
            Column(title: title, isRight: false, shrinks: shrinks)
        }

        /// Numbers.
        public static func right(_ title: String) -> Column { Column(title: title, isRight: true, shrinks: false) }
    }

    private static let gap = "  "
    private let columns: [Column]
    private var rows: [[String]] = []

    public init(_ columns: [Column]) { self.columns = columns }

    /// One cell for each column.
    public mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has one cell for each column")
        rows.append(cells)
    }

    /// The heading and the rows, each ended by a line end, without spaces at the right.
    public func text(width: Int = 80) -> String {
        let widths = columnWidths(total: width)
        return ([columns.map(\.title)] + rows).map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                let cell = Self.shortened(cell, to: widths[index])
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                line += (index > 0 ? Self.gap : "") + (columns[index].isRight ? padding + cell : cell + padding)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    /// The widest cell of each column, less what the table is too wide, taken from the columns that shrink.
    private func columnWidths(total: Int) -> [Int] {
        var widths = columns.indices.map { index in
            rows.map { $0[index].count }.reduce(columns[index].title.count, max)
        }
        var excess = widths.reduce(Self.gap.count * (columns.count - 1), +) - total
        for index in columns.indices where columns[index].shrinks && excess > 0 {
            let cut = min(excess, max(0, widths[index] - max(8, columns[index].title.count)))
            widths[index] -= cut
            excess -= cut
        }
        return widths
    }

    /// Keeps both ends of a text that is too long: names of tensors differ at both.
    private static func shortened(_ text: String, to width: Int) -> String {
        guard text.count > width else { return text }
        let tail = (width - 1) * 2 / 3
        return text.prefix(width - 1 - tail) + "…" + text.suffix(tail)
    }
}
