/// A stage with what is done of it, and the words that say so.
struct ProgressState: Sendable {
    let stage: ProgressStage
    /// When the stage began, in seconds of any clock that never goes back.
    let start: Double
    var done: Int
    var label = ""
    /// When something was last shown.
    var lastShown: Double

    init(_ stage: ProgressStage, at start: Double) {
        self.stage = stage
        self.start = start
        done = stage.alreadyDone
        lastShown = start
    }

    /// `compress [######--------------]  72/224 tensors, 1.4/s, 1 min 48 s left  layers.3.mlp.up_proj`
    func bar(at now: Double, columns: Int) -> String {
        let cells = 20
        let filled = stage.total > 0 ? min(cells, done * cells / stage.total) : cells
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: cells - filled)
        let line = "\(stage.title) [\(bar)] \(amounts), \(pace(at: now))  \(label)"
        // The last column stays free: a terminal may wrap there.
        return String(line.prefix(max(0, columns - 1)))
    }

    /// `compress: 72/224 tensors (32 %), 1.4/s, 1 min 48 s left`
    func line(at now: Double) -> String {
        let share = stage.total > 0 ? Double(done) / Double(stage.total) : 1
        return "\(stage.title): \(amounts) (\(Quantity.percent(share, digits: 0))), \(pace(at: now))"
    }

    /// Whether nothing of what was to be done is.
    var hasFailedAtOnce: Bool { done == 0 && stage.total > 0 }

    /// `compress: 224 tensors in 2 min 40 s`
    func summary(at now: Double) -> String {
        "\(stage.title): \(amount(done)) in \(Quantity.duration(now - start))"
            + (stage.alreadyDone > 0 ? ", \(amount(stage.alreadyDone)) of them before" : "")
    }

    private var amounts: String {
        switch stage.unit {
        case .items(let name): "\(done)/\(stage.total) \(name)"
        case .bytes: "\(ByteCount.human(done)) of \(ByteCount.human(stage.total))"
        }
    }

    private func amount(_ count: Int) -> String {
        switch stage.unit {
        case .items(let name): "\(count) \(name)"
        case .bytes: ByteCount.human(count)
        }
    }

    private func pace(at now: Double) -> String {
        let doneHere = Double(done - stage.alreadyDone)
        guard doneHere > 0, now > start else { return "–" }
        let rate = doneHere / (now - start)
        let left = Quantity.duration(Double(max(0, stage.total - done)) / rate)
        switch stage.unit {
        case .items: return "\(Quantity.fixed(rate, rate < 10 ? 1 : 0))/s, \(left) left"
        case .bytes: return "\(ByteCount.human(Int(rate)))/s, \(left) left"
        }
    }
}
