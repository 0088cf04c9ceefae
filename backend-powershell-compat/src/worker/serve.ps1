
# One request after the other, until nobody asks any more.
while ($null -ne ($line = $worker.Reader.ReadLine())) {
    $request = ConvertFrom-Json -InputObject $line
    $worker.Id = $request.id
    $worker.Sent = $false
    $worker.Set = $false
    try {
        if ($request.secret) {
            Read-WorkerSecret
        }
        if ($request.op -eq 'hello') {
            $ok = Invoke-WorkerHello $request
        } elseif ($request.op -eq 'load') {
            $ok = Invoke-WorkerLoad $request
        } elseif ($request.op -eq 'connect') {
            $ok = Invoke-WorkerConnect $request
        } elseif ($request.op -eq 'set') {
            $ok = Invoke-WorkerSet $request
        } elseif ($request.op -eq 'get') {
            $ok = Invoke-WorkerGet $request
        } elseif ($request.op -eq 'claims') {
            $ok = Invoke-WorkerClaims
        } elseif ($request.op -eq 'caller') {
            $ok = Invoke-WorkerCaller
        } elseif ($request.op -eq 'protected') {
            $ok = Invoke-WorkerProtected
        } elseif ($request.op -eq 'users') {
            $ok = Invoke-WorkerUsers $request
        } else {
            throw 'no such request'
        }
        Send-WorkerLine @{ id = $request.id; ok = $ok }
    } catch {
        Send-WorkerLine @{ id = $request.id; error = (Get-WorkerError $_) }
    } finally {
        $worker.Text = $null
        $ok = $null
        # Records of errors hold what cmdlets were called with.
        $Error.Clear()
    }
}
