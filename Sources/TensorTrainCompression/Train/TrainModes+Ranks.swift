extension TrainModes {
    /// The same rank on every bond, or less where the bond cannot need it.
    public func ranks(cappedAt rank: Int) -> [Int] { bondLimits.map { min(rank, $0) } }

    /// Ranks for a number of parameters, from the shape alone: the largest cap for all bonds that stays within it, then
    /// one more on single bonds, the widest first, while they fit.
    ///
    /// A cap lets the outer bonds be whole and takes from the inner ones, which is where the spectra of weights fall:
    /// scaling all bonds alike has a larger error at equal size.
    ///
    /// - Parameter multiple: caps are multiples of this, and nothing is added; a cap below it stays as it is.
    /// - Returns: ranks of 1 where even these need more.
    public func ranks(within parameters: Int, multiple: Int = 1) -> [Int] {
        ranks(within: parameters, multiple: multiple) { self.parameters(ranks: $0) }
    }

    /// As above for another count of the numbers that ranks take; it must not fall when the cap rises.
    func ranks(within parameters: Int, multiple: Int, counting count: ([Int]) -> Int) -> [Int] {
        var low = 1
        var high = max(1, bondLimits.max() ?? 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if count(ranks(cappedAt: middle)) <= parameters { low = middle } else { high = middle - 1 }
        }
        if multiple > 1 { return ranks(cappedAt: low >= multiple ? low / multiple * multiple : low) }
        return filled(ranks(cappedAt: low), within: parameters, counting: count)
    }

    private func filled(_ ranks: [Int], within parameters: Int, counting count: ([Int]) -> Int) -> [Int] {
        let limits = bondLimits
        var ranks = ranks
        for bond in limits.indices.sorted(by: { (limits[$0], $1) > (limits[$1], $0) }) where ranks[bond] < limits[bond]
        {
            var more = ranks
            more[bond] += 1
            if objection(toRanks: more) == nil, count(more) <= parameters { ranks = more }
        }
        return ranks
    }
}
