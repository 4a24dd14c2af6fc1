import Kernels
import MatrixCore

extension Model {
    /// Runs tokens that follow those the state has seen.
    ///
    /// - Returns: the last layer's output after the final norm (tokens × hidden), in the state's memory: valid until
    ///   its next use.
    /// - Throws: `.tokenOutOfRange`, `.tooLong`, or `.nonFinite` naming the first layer whose output is not finite.
    /// - Cost: memory grows with the number of tokens, not with its square.
    public func hiddenStates(of tokens: [Int32], _ state: SequenceState) throws(ModelError) -> MatrixView<Float> {
        let end = state.position + tokens.count
        if let limit = description.positionLimit, end > limit { throw .tooLong(tokens: end, limit: limit) }
        state.cache.reserve(end, used: state.position)
        let x = try embed(tokens, state)
        try checkFinite(x, "the embedding")
        let rotary = description.rotary.map {
            RotaryEmbedding($0, positions: state.position..<end, state.workspace)
        }
        for (index, block) in blocks.enumerated() {
            run(block, x, rotary, state)
            try checkFinite(x, "layer \(index)")
            state.observer?.didFinish(layer: index, hidden: x.readable)
        }
        state.position = end
        finalNorm?.apply(inPlace: x)
        return x.readable
    }

    /// hidden · headᵀ (tokens × vocabulary), in the state's memory: valid until its next use.
    /// - Throws: `.noHead`, or `.nonFinite`.
    public func logits(of hidden: MatrixView<Float>, _ state: SequenceState) throws(ModelError) -> MatrixView<Float> {
        guard let head else { throw .noHead }
        let logits = state.workspace.matrix(.logits, rows: hidden.rows, columns: head.outFeatures)
        head.apply(hidden, into: logits, state)
        try checkFinite(logits, "the head")
        return logits.readable
    }

    /// Tokens whose logits fit in moderate memory at a time.
    public var rowsOfLogitsAtOnce: Int {
        max(16, (1 << 23) / max(vocabularySize, 1))
    }

    // MARK: Steps

    func run(_ block: Block, _ x: MutableMatrixView<Float>, _ rotary: RotaryEmbedding?, _ state: SequenceState) {
        let normalised = state.workspace.matrix(.normalised, rows: x.rows, columns: x.columns)
        let fed = state.workspace.matrix(.fedForward, rows: x.rows, columns: x.columns)
        switch description.residual {
        case .sequential:
            block.attentionNorm.apply(x.readable, into: normalised)
            let attended = block.attention.apply(normalised.readable, rotary: rotary, state)
            willAdd(block.attention.output, to: x, state)
            if state.isDone { return }
            add(attended.readable, to: x)
            block.feedForwardNorm.apply(x.readable, into: normalised)
            block.feedForward.apply(normalised.readable, into: fed, state)
            willAdd(block.feedForward.exit, to: x, state)
            add(fed.readable, to: x)
        case .parallel:
            block.attentionNorm.apply(x.readable, into: normalised)
            let attended = block.attention.apply(normalised.readable, rotary: rotary, state)
            block.feedForwardNorm.apply(x.readable, into: normalised)
            block.feedForward.apply(normalised.readable, into: fed, state)
            if state.observer != nil {
                willAdd(block.attention.output, to: x, state)
                // The sum that the feed-forward part completes, which is nowhere otherwise: both are added at once.
                sum(x.readable, attended.readable, into: normalised)
                willAdd(block.feedForward.exit, to: normalised, state)
            }
            add(attended.readable, to: fed)
            add(fed.readable, to: x)
        case .normalisedAfter:
            let attended = block.attention.apply(x.readable, rotary: rotary, state)
            willAdd(block.attention.output, to: x, state)
            if state.isDone { return }
            add(attended.readable, to: x)
            block.attentionNorm.apply(inPlace: x)
            block.feedForward.apply(x.readable, into: fed, state)
            willAdd(block.feedForward.exit, to: x, state)
            add(fed.readable, to: x)
            block.feedForwardNorm.apply(inPlace: x)
        }
    }

    /// Tells the observer what the outputs of a layer are added to; experts have no one layer that gives them.
    private func willAdd(_ layer: Linear?, to x: MutableMatrixView<Float>, _ state: SequenceState) {
        guard let layer else { return }
        state.observer?.willAdd(outputsOf: layer.name, to: x.readable)
    }

    /// target ← a + b
    private func sum(_ a: MatrixView<Float>, _ b: MatrixView<Float>, into target: MutableMatrixView<Float>) {
        for row in 0..<target.rows {
            (target.base + row * target.rowStride).update(from: a.base + row * a.rowStride, count: target.columns)
        }
        add(b, to: target)
    }

    /// target += source
    private func add(_ source: MatrixView<Float>, to target: MutableMatrixView<Float>) {
        forEachRowBlock(target.rows, columns: target.columns) { rows in
            for row in rows {
                VectorMath.combine(
                    target.base + row * target.rowStride, source.base + row * source.rowStride, target.columns
                ) { $0 + $1 }
            }
        }
    }

    func embed(_ tokens: [Int32], _ state: SequenceState) throws(ModelError) -> MutableMatrixView<Float> {
        let vocabulary = embedding.tokens.rows
        if let place = tokens.firstIndex(where: { $0 < 0 || Int($0) >= vocabulary }) {
            throw .tokenOutOfRange(
                token: Int(tokens[place]), position: state.position + place, vocabulary: vocabulary)
        }
        let x = state.workspace.matrix(.hidden, rows: tokens.count, columns: description.hidden)
        let added = state.workspace.matrix(.normalised, rows: 1, columns: description.hidden)
        for (row, token) in tokens.enumerated() {
            copy(embedding.tokens, row: Int(token), into: x.rows(row..<row + 1))
            if let positions = embedding.positions {
                copy(positions, row: state.position + row, into: added)
                add(added.readable, to: x.rows(row..<row + 1))
            }
            if let types = embedding.types {
                copy(types, row: 0, into: added)
                add(added.readable, to: x.rows(row..<row + 1))
            }
        }
        embedding.norm?.apply(inPlace: x)
        return x
    }

    private func copy(_ table: MatrixOperand, row: Int, into target: MutableMatrixView<Float>) {
        convert(table.rows(row..<row + 1), into: MutableMatrixOperand(target))
    }

    func checkFinite(_ x: MutableMatrixView<Float>, _ place: String) throws(ModelError) {
        if firstNonFinite(MatrixOperand(x.readable)) != nil { throw .nonFinite(place: place) }
    }
}
