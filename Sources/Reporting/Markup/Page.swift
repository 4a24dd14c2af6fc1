/// A page in one file: style and script are inside, nothing is fetched, so it works from a disk, as an attachment and
/// as an artefact of a CI job.
struct Page {
    let title: String
    let body: Markup
    /// JavaScript without markup characters of its own beyond what a CDATA section hides from an XML parser.
    var script = ""

    var text: String {
        let page: Markup = """
            <!DOCTYPE html>
            <html xmlns="http://www.w3.org/1999/xhtml" lang="en">
            <head>
            <meta charset="utf-8" />
            <meta name="viewport" content="width=device-width, initial-scale=1" />
            <meta name="color-scheme" content="light dark" />
            <link rel="icon" href="data:," />
            <title>\(title)</title>
            <style>
            \(Markup(verbatim: PageStyle.text))
            </style>
            </head>
            <body>
            <main>
            \(body)
            </main>
            \(scriptElement)
            </body>
            </html>

            """
        return page.source
    }

    private var scriptElement: Markup {
        script.isEmpty ? .empty : Markup(verbatim: "<script>\n//<![CDATA[\n\(script)\n//]]>\n</script>")
    }
}

extension Page {
    /// A titled part of a page; nothing where there is nothing to show.
    static func section(_ title: String, _ content: Markup?) -> Markup {
        guard let content else { return .empty }
        return "<section>\n<h2>\(title)</h2>\n\(content)\n</section>"
    }

    /// A table that scrolls sideways in its own box where the screen is narrow.
    static func table(_ columns: [TableColumn], _ rows: [[Markup]], marking marked: Set<Int> = []) -> Markup {
        let head = columns.map { column -> Markup in "<th scope=\"col\" class=\"\(column.style)\">\(column.title)</th>"
        }
        let lines = rows.enumerated().map { index, cells -> Markup in
            let cells = zip(columns, cells).map { column, cell -> Markup in "<td class=\"\(column.style)\">\(cell)</td>"
            }
            let row: Markup = marked.contains(index) ? "<tr class=\"marked\">" : "<tr>"
            return row + Markup(cells, separator: "") + "</tr>"
        }
        return """
            <div class="scroll"><table>
            <thead><tr>\(Markup(head, separator: ""))</tr></thead>
            <tbody>
            \(lines)
            </tbody>
            </table></div>
            """
    }

    /// Something long behind a line that opens it.
    static func details(_ title: String, _ content: Markup) -> Markup {
        "<details>\n<summary>\(title)</summary>\n\(content)\n</details>"
    }
}

/// A column of a table on a page.
struct TableColumn {
    let title: String
    let style: String

    static func text(_ title: String) -> TableColumn { TableColumn(title: title, style: "text") }
    static func number(_ title: String) -> TableColumn { TableColumn(title: title, style: "number") }
}
