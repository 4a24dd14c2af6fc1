import MatrixCore

/// The upper triangle of c (n × n) ← its lower triangle, mirrored.
public func mirrorLower<Element: MatrixElement>(_ c: MutableMatrixView<Element>) {
    precondition(c.rows == c.columns, "only a square matrix can be symmetric")
    let block = 32
    let blocks = (c.rows + block - 1) / block
    // The work of a row of blocks grows with its number, so long ones are handed out first.
    parallelFor(blocks) { piece in
        let rows = ((blocks - 1 - piece) * block)..<min((blocks - piece) * block, c.rows)
        for start in stride(from: 0, to: rows.upperBound, by: block) {
            for i in rows {
                for j in start..<min(start + block, i) {
                    c[j, i] = c[i, j]
                }
            }
        }
    }
}
